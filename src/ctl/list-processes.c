/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/figures.h"
#include "ctl/verb-list.h"

/* What the dictionary at the end of a process says. */
struct more {
        char *exe;
        char *cgroup;
        char *excluded;
        struct figures figures;
};

static void more_done(struct more *more)
{
        free(more->exe);
        free(more->cgroup);
        free(more->excluded);
}

static int add_process(sd_bus_message *m, struct table *t)
{
        static const struct dict_field fields[] = {
                { "exe", "s", dict_read_text, offsetof(struct more, exe) },
                { "cgroup", "s", dict_read_text, offsetof(struct more, cgroup) },
                { "excluded", "s", dict_read_text, offsetof(struct more, excluded) },
                FIGURES_FIELDS(struct more, figures),
        };
        _cleanup_(more_done) struct more more = {};
        uint64_t private_bytes, merged_bytes;
        const char *comm, *unit;
        uint32_t pid, uid;
        int r;

        r = sd_bus_message_read(m, "usustt", &pid, &comm, &uid, &unit, &private_bytes, &merged_bytes);
        if (r < 0)
                return r;
        r = dict_read(m, fields, ELEMENTSOF(fields), &more);
        if (r < 0)
                return r;
        return table_add(t, (struct cell[]){
                { .number = pid },
                { .number = uid },
                { .number = private_bytes },
                { .number = merged_bytes },
                FIGURES_CELLS(&more.figures),
                { .text = comm },
                { .text = unit },
                { .text = more.excluded },
                { .text = more.exe },
                { .text = more.cgroup },
        });
}

int list_processes_table(const struct output *out, sd_bus_message *m, struct table **ret)
{
        static const struct column columns[] = {
                { .head = "PID", .key = "pid", .type = COLUMN_NUMBER },
                { .head = "UID", .key = "uid", .type = COLUMN_NUMBER },
                { .head = "PRIVATE", .key = "private_bytes", .type = COLUMN_BYTES },
                { .key = "merged_bytes", .type = COLUMN_BYTES },
                FIGURES_COLUMNS,
                { .head = "COMMAND", .key = "comm", .type = COLUMN_TEXT },
                { .head = "UNIT", .key = "unit", .type = COLUMN_TEXT, .truncate = true,
                  .width = 20 },
                { .head = "EXCLUDED", .key = "excluded", .type = COLUMN_TEXT, .truncate = true },
                { .key = "exe", .type = COLUMN_TEXT },
                { .key = "cgroup", .type = COLUMN_TEXT },
        };

        return list_rows(out, "processes", columns, ELEMENTSOF(columns), m, "usustta{sv}", add_process, ret);
}
