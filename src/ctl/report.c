/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/report.h"

#include <inttypes.h>

#include "shared/format.h"

uint64_t report_page_bytes(void)
{
        return (uint64_t) sysconf(_SC_PAGESIZE);
}

void report_state(const struct output *out, const struct job_status *status)
{
        if (streq(status->state, "cancelled"))
                fputs("Cancelled. Until then:\n", out->file);
}

void report_tallies(const struct output *out, const char *what, const struct tallies *t,
                    const char *one, const char *many)
{
        for (size_t i = 0; i < t->n; i++) {
                _cleanup_(freep) char *text = escape_text(t->items[i].text);

                fprintf(out->file, "%s: %s (%" PRIu64 " %s)\n", what, text ?: "?", t->items[i].n,
                        plural(t->items[i].n, one, many));
        }
}

void report_scanned(const struct output *out, const struct result *s)
{
        uint64_t page = report_page_bytes();

        fprintf(out->file, "Looked at %s of private memory in %" PRIu64 " %s in %s.\n",
                FORMAT_BYTES(s->pages * page), s->processes, plural(s->processes, "process", "processes"),
                FORMAT_SPAN(s->duration_usec));
        if (s->ksm_pages > 0)
                fprintf(out->file, "Shared already: %s\n", FORMAT_BYTES(s->ksm_pages * page));
        if (s->swapped_pages > 0)
                fprintf(out->file, "Swapped out, left alone: %s\n", FORMAT_BYTES(s->swapped_pages * page));
        report_tallies(out, "Left out", &s->excluded, "process", "processes");
        report_tallies(out, "Skipped", &s->skipped, "process", "processes");
}

void report_stop(const struct output *out, const struct result *s)
{
        if (s->stop_usec > 0)
                fprintf(out->file, "No thread was held for longer than %s.\n", FORMAT_SPAN(s->stop_usec));
}

static int domains_table(const struct output *out, const struct result_domains *domains, struct table **ret)
{
        static const struct column columns[] = {
                { .head = "DOMAIN", .key = "domain", .type = COLUMN_TEXT, .truncate = true },
                { .head = "PROCESSES", .key = "processes", .type = COLUMN_NUMBER },
                { .head = "DUPLICATES", .key = "duplicate_frames", .type = COLUMN_NUMBER },
                { .head = "CHOSEN", .key = "chosen", .type = COLUMN_BOOLEAN },
        };
        _cleanup_(table_freep) struct table *table = NULL;
        int r;

        r = table_new(out, "domains", columns, ELEMENTSOF(columns), &table);
        if (r < 0)
                return r;
        for (size_t i = 0; i < domains->n; i++) {
                const struct result_domain *d = domains->items + i;

                r = table_add(table, (struct cell[]){
                        { .text = d->name },
                        { .number = d->processes },
                        { .number = d->duplicate_frames },
                        { .number = d->chosen },
                });
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(table);
        return 0;
}

int report_domains(const struct output *out, const struct result_domains *domains)
{
        _cleanup_(table_freep) struct table *table = NULL;
        int r;

        if (domains->n < 2)
                return 0;
        r = domains_table(out, domains, &table);
        if (r < 0)
                return r;
        fputc('\n', out->file);
        return table_print(table);
}

static int owners_table(const struct output *out, const struct result_owners *owners, size_t n,
                        struct table **ret)
{
        static const struct column columns[] = {
                { .head = "OWNER", .type = COLUMN_TEXT, .truncate = true },
                { .key = "name", .type = COLUMN_TEXT },
                { .head = "KIND", .key = "kind", .type = COLUMN_TEXT },
                { .head = "PAGES", .key = "pages", .type = COLUMN_NUMBER },
                { .head = "DUPLICATES", .key = "duplicate_frames", .type = COLUMN_NUMBER },
                { .head = "ZERO", .key = "zero_frames", .type = COLUMN_NUMBER },
                { .head = "SIZE", .key = "private_bytes", .type = COLUMN_BYTES },
        };
        _cleanup_(table_freep) struct table *table = NULL;
        int r;

        r = table_new(out, "owners", columns, ELEMENTSOF(columns), &table);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                const struct result_owner *o = owners->items + i;
                /* Directories would take the room that the figures need. */
                const char *base = o->name[0] == '/' ? strrchr(o->name, '/') + 1 : o->name;

                r = table_add(table, (struct cell[]){
                        { .text = base },
                        { .text = o->name },
                        { .text = o->kind },
                        { .number = o->pages },
                        { .number = o->duplicate_frames },
                        { .number = o->zero_frames },
                        { .number = o->private_bytes },
                });
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(table);
        return 0;
}

int report_owners(const struct output *out, const struct result_owners *owners, uint64_t limit)
{
        _cleanup_(table_freep) struct table *table = NULL;
        size_t n = limit > 0 && limit < owners->n ? limit : owners->n;
        int r;

        if (n == 0)
                return 0;
        r = owners_table(out, owners, n, &table);
        if (r < 0)
                return r;
        fputc('\n', out->file);
        r = table_print(table);
        if (r < 0)
                return r;
        if (n < owners->n && out->legend)
                fprintf(out->file, "\n%zu more %s; --limit=0 shows all.\n", owners->n - n,
                        plural(owners->n - n, "owner", "owners"));
        return 0;
}

int report_json_figures(struct json_document *d, const struct output *out, const struct job_status *status)
{
        static const struct column columns[] = {
                { .key = "state", .type = COLUMN_TEXT },
                { .key = "processes", .type = COLUMN_NUMBER },
                { .key = "duration_usec", .type = COLUMN_NUMBER },
                { .key = "pages", .type = COLUMN_NUMBER },
                { .key = "swapped_pages", .type = COLUMN_NUMBER },
                { .key = "ksm_pages", .type = COLUMN_NUMBER },
                { .key = "duplicate_frames", .type = COLUMN_NUMBER },
                { .key = "zero_frames", .type = COLUMN_NUMBER },
                { .key = "huge_frames", .type = COLUMN_NUMBER },
        };
        const struct result *s = &status->result;

        return json_append_row(d, out, columns, ELEMENTSOF(columns), (struct cell[]){
                { .text = status->state },
                { .number = s->processes },
                { .number = s->duration_usec },
                { .number = s->pages },
                { .number = s->swapped_pages },
                { .number = s->ksm_pages },
                { .number = s->duplicate_frames },
                { .number = s->zero_frames },
                { .number = s->huge_frames },
        });
}

int report_json_tallies(struct json_document *d, const struct output *out, const char *key,
                        const struct tallies *t, const char *text_key, const char *number_key)
{
        const struct column columns[] = {
                { .key = text_key, .type = COLUMN_TEXT },
                { .key = number_key, .type = COLUMN_NUMBER },
        };
        _cleanup_(table_freep) struct table *table = NULL;
        int r;

        r = table_new(out, key, columns, ELEMENTSOF(columns), &table);
        if (r < 0)
                return r;
        for (size_t i = 0; i < t->n; i++) {
                r = table_add(table, (struct cell[]){
                        { .text = t->items[i].text },
                        { .number = t->items[i].n },
                });
                if (r < 0)
                        return r;
        }
        return json_append_array(d, table);
}

int report_json_arrays(struct json_document *d, const struct output *out, const struct result *result)
{
        _cleanup_(table_freep) struct table *domains = NULL, *owners = NULL;
        int r;

        r = report_json_tallies(d, out, "mechanisms", &result->mechanisms, "mechanism", "duplicate_frames");
        if (r < 0)
                return r;
        r = domains_table(out, &result->domains, &domains);
        if (r < 0)
                return r;
        r = json_append_array(d, domains);
        if (r < 0)
                return r;
        r = owners_table(out, &result->owners, result->owners.n, &owners);
        if (r < 0)
                return r;
        r = json_append_array(d, owners);
        if (r < 0)
                return r;
        r = report_json_tallies(d, out, "excluded", &result->excluded, "reason", "processes");
        if (r < 0)
                return r;
        return report_json_tallies(d, out, "skipped", &result->skipped, "reason", "processes");
}
