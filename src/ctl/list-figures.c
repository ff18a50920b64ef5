/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/figures.h"
#include "ctl/verb-list.h"

int list_owners_table(const struct output *out, sd_bus_message *m, struct table **ret)
{
        static const struct column columns[] = {
                { .head = "KIND", .key = "kind", .type = COLUMN_TEXT },
                { .head = "PROCESSES", .key = "processes", .type = COLUMN_NUMBER },
                FIGURES_COLUMNS,
                { .head = "OWNER", .type = COLUMN_TEXT, .truncate = true },
                { .key = "name", .type = COLUMN_TEXT },
        };
        _cleanup_(figures_rows_done) struct figures_rows rows = {};
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        r = figures_read_owners(m, &rows);
        if (r < 0)
                return r;
        r = table_new(out, "owners", columns, ELEMENTSOF(columns), &t);
        for (size_t i = 0; i < rows.n && r >= 0; i++) {
                const struct figures_row *o = rows.items + i;

                r = table_add(t, (struct cell[]){
                        { .text = o->kind },
                        { .number = o->processes },
                        FIGURES_CELLS(&o->figures),
                        { .text = figures_base_name(o->name) },
                        { .text = o->name },
                });
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

int list_cgroups_table(const struct output *out, sd_bus_message *m, struct table **ret)
{
        static const struct column columns[] = {
                { .head = "PROCESSES", .key = "processes", .type = COLUMN_NUMBER },
                { .head = "PRIVATE", .key = "private_bytes", .type = COLUMN_BYTES },
                FIGURES_COLUMNS,
                { .head = "CGROUP", .key = "path", .type = COLUMN_TEXT, .truncate = true },
                { .key = "unit", .type = COLUMN_TEXT },
        };
        _cleanup_(figures_rows_done) struct figures_rows rows = {};
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        r = figures_read_cgroups(m, &rows);
        if (r < 0)
                return r;
        r = table_new(out, "cgroups", columns, ELEMENTSOF(columns), &t);
        for (size_t i = 0; i < rows.n && r >= 0; i++) {
                const struct figures_row *c = rows.items + i;

                r = table_add(t, (struct cell[]){
                        { .number = c->processes },
                        { .number = c->private_bytes },
                        FIGURES_CELLS(&c->figures),
                        { .text = c->name },
                        { .text = c->unit },
                });
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}
