/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "ctl/job.h"
#include "ctl/report.h"
#include "ctl/verbs.h"
#include "shared/format.h"

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
        r = report_json_arrays(&d, out, &status->result);
        if (r < 0)
                return r;
        return json_document_print(&d, out);
}

/* Which mechanism could merge how much of it: in the first sentence if it is one for all. */
static void print_headline(FILE *f, const struct result *s)
{
        const struct tallies *m = &s->mechanisms;
        uint64_t page = report_page_bytes();

        if (s->duplicate_frames == 0) {
                fputs("Merging would free nothing.\n", f);
                return;
        }
        fprintf(f, "Merging would free %s (%" PRIu64 " %s)",
                FORMAT_BYTES(s->duplicate_frames * page), s->duplicate_frames,
                plural(s->duplicate_frames, "frame", "frames"));
        if (s->zero_frames > 0)
                fprintf(f, ", %s of it zeros", FORMAT_BYTES(s->zero_frames * page));
        if (m->n == 1 && m->items[0].n == s->duplicate_frames) {
                fprintf(f, ", by %s.\n", m->items[0].text);
                return;
        }
        fputs(m->n > 0 ? ":\n" : ".\nNo mechanism here could merge it.\n", f);
        for (size_t i = 0; i < m->n; i++)
                fprintf(f, "  %s by %s\n", FORMAT_BYTES(m->items[i].n * page), m->items[i].text);
}

static void print_huge(const struct output *out, const struct result *s)
{
        if (s->huge_frames == 0)
                return;
        fprintf(out->file, "Besides, %s in areas with huge pages, which direct leaves alone.\n",
                FORMAT_BYTES(s->huge_frames * report_page_bytes()));
        if (out->legend)
                fputs("With --huge-pages=split huge pages are taken apart.\n", out->file);
}

int estimate_print(const struct options *o, const struct output *out, const struct job_status *status)
{
        const struct result *s = &status->result;
        int r;

        if (out->json != JSON_OFF)
                return print_json(out, status);

        report_state(out, status);
        print_headline(out->file, s);
        print_huge(out, s);
        report_scanned(out, s);
        r = report_domains(out, &s->domains);
        if (r < 0)
                return r;
        return report_owners(out, &s->owners, o->limit);
}

int verb_estimate(const struct options *o)
{
        return job_verb(o, "Estimate", estimate_print);
}
