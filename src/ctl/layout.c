/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/layout.h"

#include <inttypes.h>
#include <time.h>

#include "ctl/dict.h"

static const struct dict_field fields[] = {
        { "last_usec", "t", dict_read_u64, offsetof(struct layout_row, last_usec) },
        { "processes", "u", dict_read_u32, offsetof(struct layout_row, n_processes) },
        { "more", "b", dict_read_bool, offsetof(struct layout_row, more) },
};

int layout_row_read(sd_bus_message *m, struct layout_row *ret)
{
        struct layout_row row = {};
        int unit, r;

        r = sd_bus_message_enter_container(m, 'r', "subtta{sv}");
        if (r <= 0)
                return r;
        r = sd_bus_message_read(m, "subtt", &row.name, &row.uid, &unit, &row.drawn_usec, &row.n_given);
        if (r >= 0)
                r = dict_read(m, fields, ELEMENTSOF(fields), &row);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        row.unit = unit;
        *ret = row;
        return 1;
}

static int add_row(struct table *t, const struct layout_row *row)
{
        char drawn[64] = "", running[32];
        time_t when = (time_t) (row->drawn_usec / 1000000U);
        struct tm tm;

        if (localtime_r(&when, &tm))
                strftime(drawn, sizeof(drawn), "%Y-%m-%d %H:%M", &tm);
        snprintf(running, sizeof(running), "%" PRIu64 "%s", row->n_processes, row->more ? "+" : "");
        return table_add(t, (struct cell[]){
                { .text = row->name },
                { .number = row->uid },
                { .text = row->unit ? "unit" : "name" },
                { .number = row->unit },
                { .text = drawn },
                { .number = row->drawn_usec },
                { .number = row->last_usec },
                { .number = row->n_given },
                { .text = running },
                { .number = row->n_processes },
                { .number = row->more },
        });
}

int layouts_table(const struct output *out, sd_bus_message *m, const uint32_t *uid, struct table **ret)
{
        static const struct column columns[] = {
                { .head = "GROUP", .key = "name", .type = COLUMN_TEXT, .truncate = true },
                { .head = "UID", .key = "uid", .type = COLUMN_NUMBER },
                { .head = "KIND", .type = COLUMN_TEXT },
                { .key = "unit", .type = COLUMN_BOOLEAN },
                { .head = "DRAWN", .type = COLUMN_TEXT },
                { .key = "drawn_usec", .type = COLUMN_NUMBER },
                { .key = "last_usec", .type = COLUMN_NUMBER },
                { .head = "STARTED", .key = "started", .type = COLUMN_NUMBER },
                { .head = "RUNNING", .type = COLUMN_TEXT },
                { .key = "processes", .type = COLUMN_NUMBER },
                { .key = "more", .type = COLUMN_BOOLEAN },
        };
        _cleanup_(table_freep) struct table *t = NULL;
        struct layout_row row;
        int r;

        r = table_new(out, "layouts", columns, ELEMENTSOF(columns), &t);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "(subtta{sv})");
        if (r < 0)
                return r;
        while ((r = layout_row_read(m, &row)) > 0) {
                if (uid && row.uid != *uid)
                        continue;
                r = add_row(t, &row);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}
