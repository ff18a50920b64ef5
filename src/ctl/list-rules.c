/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "ctl/dict.h"
#include "ctl/verb-list.h"

static const char *const kinds[] = { "Shlib", "Exe", "Comm", "Cgroup", "Unit", "User" };

/* What a dictionary says of one row. */
struct row {
        char *merge, *trust, *file;
        uint64_t line;
        char *patterns[ELEMENTSOF(kinds)];
};

static void row_done(struct row *row)
{
        free(row->merge);
        free(row->trust);
        free(row->file);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                free(row->patterns[i]);
}

/* Into a char*, apart by blanks. */
static int read_patterns(sd_bus_message *m, void *p)
{
        char **text = p;
        const char *pattern;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read_basic(m, 's', &pattern)) > 0) {
                char *longer;

                if (asprintf(&longer, "%s%s%s", *text ?: "", *text ? " " : "", pattern) < 0)
                        return -ENOMEM;
                free(*text);
                *text = longer;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

#define FIELD(name) offsetof(struct row, name)
static const struct dict_field fields[] = {
        { "Merge", "s", dict_read_text, FIELD(merge) },
        { "TrustDomain", "s", dict_read_text, FIELD(trust) },
        { "file", "s", dict_read_text, FIELD(file) },
        { "line", "u", dict_read_u32, FIELD(line) },
        { "Shlib", "as", read_patterns, FIELD(patterns[0]) },
        { "Exe", "as", read_patterns, FIELD(patterns[1]) },
        { "Comm", "as", read_patterns, FIELD(patterns[2]) },
        { "Cgroup", "as", read_patterns, FIELD(patterns[3]) },
        { "Unit", "as", read_patterns, FIELD(patterns[4]) },
        { "User", "as", read_patterns, FIELD(patterns[5]) },
};

static char *origin_of(const struct row *row)
{
        char *origin;

        if (!row->file)
                return strdup("built in");
        return asprintf(&origin, "%s:%" PRIu64, row->file, row->line) < 0 ? NULL : origin;
}

static char *matches_of(const struct row *row)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (row->patterns[i])
                        fprintf(f, "%s%s=%s", ftell(f) > 0 ? " " : "", kinds[i], row->patterns[i]);
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static int add_rule(sd_bus_message *m, struct table *t)
{
        _cleanup_(freep) char *origin = NULL, *matches = NULL;
        _cleanup_(row_done) struct row row = {};
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
                r = dict_read(m, fields, ELEMENTSOF(fields), &row);
        if (r < 0)
                return r;
        origin = origin_of(&row);
        matches = matches_of(&row);
        if (!origin || !matches)
                return -ENOMEM;
        return table_add(t, (struct cell[]){
                { .text = name },
                { .text = row.merge ?: "" },
                { .text = row.trust ?: "" },
                { .text = matches },
                { .text = origin },
        });
}

int list_rules_table(const struct output *out, sd_bus_message *m, struct table **ret)
{
        static const struct column columns[] = {
                { .head = "RULE", .key = "name", .type = COLUMN_TEXT },
                { .head = "MERGE", .key = "merge", .type = COLUMN_TEXT },
                { .head = "TRUST", .key = "trust", .type = COLUMN_TEXT },
                { .head = "MATCHES", .key = "matches", .type = COLUMN_TEXT, .truncate = true },
                { .head = "ORIGIN", .key = "origin", .type = COLUMN_TEXT },
        };

        return list_rows(out, "rules", columns, ELEMENTSOF(columns), m, "sa{sv}", add_rule, ret);
}

static int add_setting(sd_bus_message *m, struct table *t)
{
        const char *section, *key, *value;
        _cleanup_(freep) char *origin = NULL;
        _cleanup_(row_done) struct row row = {};
        int r;

        r = sd_bus_message_read(m, "sss", &section, &key, &value);
        if (r >= 0)
                r = dict_read(m, fields, ELEMENTSOF(fields), &row);
        if (r < 0)
                return r;
        origin = origin_of(&row);
        if (!origin)
                return -ENOMEM;
        return table_add(t, (struct cell[]){
                { .text = section },
                { .text = key },
                { .text = value },
                { .text = origin },
        });
}

int list_settings_table(const struct output *out, sd_bus_message *m, struct table **ret)
{
        static const struct column columns[] = {
                { .head = "SECTION", .key = "section", .type = COLUMN_TEXT },
                { .head = "KEY", .key = "key", .type = COLUMN_TEXT },
                { .head = "VALUE", .key = "value", .type = COLUMN_TEXT },
                { .head = "ORIGIN", .key = "origin", .type = COLUMN_TEXT },
        };

        return list_rows(out, "settings", columns, ELEMENTSOF(columns), m, "sssa{sv}", add_setting, ret);
}
