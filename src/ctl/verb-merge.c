/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "ctl/job.h"
#include "ctl/report.h"
#include "ctl/verbs.h"
#include "shared/format.h"

static int append_figures(struct json_document *d, const struct output *out, const struct result *s)
{
        static const struct column columns[] = {
                { .key = "mechanism", .type = COLUMN_TEXT },
                { .key = "merged_pages", .type = COLUMN_NUMBER },
                { .key = "saved_frames", .type = COLUMN_NUMBER },
                { .key = "shared_frames", .type = COLUMN_NUMBER },
                { .key = "metadata_bytes", .type = COLUMN_NUMBER },
                { .key = "stop_usec", .type = COLUMN_NUMBER },
        };

        return json_append_row(d, out, columns, ELEMENTSOF(columns), (struct cell[]){
                { .text = s->mechanism },
                { .number = s->merged_pages },
                { .number = s->saved_frames },
                { .number = s->shared_frames },
                { .number = s->metadata_bytes },
                { .number = s->stop_usec },
        });
}

static int print_json(const struct output *out, const struct job_status *status)
{
        _cleanup_(json_document_done) struct json_document d = {};
        int r;

        r = json_document_init(&d);
        if (r < 0)
                return r;
        r = report_json_figures(&d, out, status);
        if (r < 0)
                return r;
        r = append_figures(&d, out, &status->result);
        if (r < 0)
                return r;
        r = report_json_arrays(&d, out, &status->result);
        if (r < 0)
                return r;
        r = report_json_tallies(&d, out, "refused", &status->result.refused, "reason", "pages");
        if (r < 0)
                return r;
        return json_document_print(&d, out);
}

static void print_headline(FILE *f, const struct result *s)
{
        uint64_t page = report_page_bytes(), gross = s->saved_frames * page;

        if (s->merged_pages == 0) {
                fputs("Merged nothing", f);
        } else {
                fprintf(f, "Merged %" PRIu64 " %s into %" PRIu64 " %s",
                        s->merged_pages, plural(s->merged_pages, "page", "pages"),
                        s->shared_frames, plural(s->shared_frames, "frame", "frames"));
                if (s->mechanism)
                        fprintf(f, " by %s", s->mechanism);
                if (gross >= s->metadata_bytes)
                        fprintf(f, ": %s saved (net)", FORMAT_BYTES(gross - s->metadata_bytes));
                else
                        fprintf(f, ": %s lost, since the kernel's bookkeeping takes %s",
                                FORMAT_BYTES(s->metadata_bytes - gross), FORMAT_BYTES(s->metadata_bytes));
        }
        fputs(".\n", f);
        if (s->duplicate_frames > s->saved_frames)
                fprintf(f, "%s of duplicates remain.\n",
                        FORMAT_BYTES((s->duplicate_frames - s->saved_frames) * page));
}

/* The service's words for what --huge-pages= could change. */
static void print_hint(const struct output *out, const struct tallies *refused)
{
        for (size_t i = 0; i < refused->n && out->legend; i++)
                if (streq(refused->items[i].text, "in an area with huge pages"))
                        fputs("With --huge-pages=split huge pages are taken apart.\n", out->file);
}

int merge_print(const struct options *o, const struct output *out, const struct job_status *status)
{
        const struct result *s = &status->result;

        if (out->json != JSON_OFF)
                return print_json(out, status);

        report_state(out, status);
        print_headline(out->file, s);
        report_tallies(out, "Not merged", &s->refused, "page", "pages");
        print_hint(out, &s->refused);
        report_scanned(out, s);
        report_stop(out, s);
        return report_domains(out, &s->domains);
}

int verb_merge(const struct options *o)
{
        return job_verb(o, "Merge", merge_print);
}
