/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/worker-io.h"

/* Rows of the worker that count only when all of them are there. Together they take far fewer bytes than the
 * pages that they are about. */
struct kept_rows {
        uint8_t *bytes;
        size_t n_bytes, allocated;
};

/* 0 or -ENOMEM: then what was kept before stays. */
int kept_rows_add(struct kept_rows *k, const union worker_packet *row);
/* Calls @take with each, in order, then forgets them. */
void kept_rows_give(struct kept_rows *k, void (*take)(void *userdata, const union worker_packet *row),
                    void *userdata);
void kept_rows_done(struct kept_rows *k);
