/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kept-rows.h"

int kept_rows_add(struct kept_rows *k, const union worker_packet *row)
{
        size_t size = row->header.size;

        if (size > k->allocated - k->n_bytes) {
                size_t allocated = MAX(k->allocated * 2, k->n_bytes + sizeof(*row));
                uint8_t *bytes = realloc(k->bytes, allocated);

                if (!bytes)
                        return -ENOMEM;
                k->bytes = bytes;
                k->allocated = allocated;
        }
        memcpy(k->bytes + k->n_bytes, row, size);
        k->n_bytes += size;
        return 0;
}

void kept_rows_give(struct kept_rows *k, void (*take)(void *userdata, const union worker_packet *row),
                    void *userdata)
{
        for (size_t at = 0; at < k->n_bytes;) {
                struct worker_header header;
                union worker_packet row;

                memcpy(&header, k->bytes + at, sizeof(header));
                memcpy(&row, k->bytes + at, header.size);
                at += header.size;
                take(userdata, &row);
        }
        kept_rows_done(k);
}

void kept_rows_done(struct kept_rows *k)
{
        free(k->bytes);
        *k = (struct kept_rows) {};
}
