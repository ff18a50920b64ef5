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

        return list_rows(out, "jobs", columns, ELEMENTSOF(columns), m, "uossda{sv}", add_job, ret);
}
