/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/figures.h"

static int compare_rows(const void *a, const void *b)
{
        const struct figures_row *x = a, *y = b;

        if (x->figures.duplicate_frames != y->figures.duplicate_frames)
                return x->figures.duplicate_frames > y->figures.duplicate_frames ? -1 : 1;
        if (x->figures.saved_bytes != y->figures.saved_bytes)
                return x->figures.saved_bytes > y->figures.saved_bytes ? -1 : 1;
        return strcmp(x->name, y->name);
}

static int read_row(sd_bus_message *m, bool owner, struct figures_row *row)
{
        static const struct dict_field fields[] = { FIGURES_FIELDS(struct figures_row, figures) };
        int r;

        if (owner)
                r = sd_bus_message_read(m, "ssu", &row->kind, &row->name, &row->processes);
        else
                r = sd_bus_message_read(m, "ssut", &row->name, &row->unit, &row->processes,
                                        &row->private_bytes);
        return r < 0 ? r : dict_read(m, fields, ELEMENTSOF(fields), row);
}

static int read_rows(sd_bus_message *m, bool owners, struct figures_rows *rows)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', owners ? "(ssua{sv})" : "(ssuta{sv})");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', owners ? "ssua{sv}" : "ssuta{sv}")) > 0) {
                struct figures_row *items, row = {};

                r = read_row(m, owners, &row);
                if (r < 0)
                        return r;
                items = reallocarray(rows->items, rows->n + 1, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                rows->items = items;
                items[rows->n++] = row;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r >= 0 && rows->n > 0)
                qsort(rows->items, rows->n, sizeof(*rows->items), compare_rows);
        return r;
}

int figures_read_owners(sd_bus_message *m, struct figures_rows *rows)
{
        return read_rows(m, true, rows);
}

int figures_read_cgroups(sd_bus_message *m, struct figures_rows *rows)
{
        return read_rows(m, false, rows);
}

void figures_rows_done(struct figures_rows *rows)
{
        free(rows->items);
}

const char *figures_base_name(const char *path)
{
        return path[0] == '/' ? strrchr(path, '/') + 1 : path;
}

bool name_is_plain(const char *name)
{
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789/._+:@%,=-");

        return name[n] == '\0';
}
