/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verb-list.h"

static int add_job(sd_bus_message *m, struct table *t)
{
        const char *object, *type, *state;
        double progress;
        uint32_t id;
        int r;

        r = sd_bus_message_read(m, "uossd", &id, &object, &type, &state, &progress);
        if (r < 0)
                return r;
        r = sd_bus_message_skip(m, "a{sv}");
        if (r < 0)
                return r;
        return table_add(t, (struct cell[]){
                { .number = id },
                { .text = type },
                { .text = state },
                { .fraction = progress },
                { .text = object },
        });
}

int list_jobs_table(const struct output *out, sd_bus_message *m, struct table **ret)
{
        static const struct column columns[] = {
                { .head = "JOB", .key = "id", .type = COLUMN_NUMBER },
                { .head = "TYPE", .key = "type", .type = COLUMN_TEXT },
                { .head = "STATE", .key = "state", .type = COLUMN_TEXT },
                { .head = "PROGRESS", .key = "progress", .type = COLUMN_PERCENT },
                { .key = "object", .type = COLUMN_TEXT },
        };
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        r = table_new(out, "jobs", columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(m, 'a', "(uossda{sv})");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', "uossda{sv}")) > 0) {
                r = add_job(m, t);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}
