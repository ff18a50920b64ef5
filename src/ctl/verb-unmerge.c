/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "ctl/job.h"
#include "ctl/report.h"
#include "ctl/verbs.h"

static int print_json(const struct output *out, const struct job_status *status)
{
        static const struct column columns[] = {
                { .key = "state", .type = COLUMN_TEXT },
                { .key = "processes", .type = COLUMN_NUMBER },
                { .key = "duration_usec", .type = COLUMN_NUMBER },
                { .key = "unmerged_pages", .type = COLUMN_NUMBER },
                { .key = "stop_usec", .type = COLUMN_NUMBER },
        };
        _cleanup_(json_document_done) struct json_document d = {};
        const struct result *s = &status->result;
        int r;

        r = json_document_init(&d);
        if (r < 0)
                return r;
        r = json_append_row(&d, out, columns, ELEMENTSOF(columns), (struct cell[]){
                { .text = status->state },
                { .number = s->processes },
                { .number = s->duration_usec },
                { .number = s->unmerged_pages },
                { .number = s->stop_usec },
        });
        if (r < 0)
                return r;
        r = report_json_tallies(&d, out, "excluded", &s->excluded, "reason", "processes");
        if (r < 0)
                return r;
        r = report_json_tallies(&d, out, "skipped", &s->skipped, "reason", "processes");
        if (r < 0)
                return r;
        return json_document_print(&d, out);
}

int unmerge_print(const struct options *o, const struct output *out, const struct job_status *status)
{
        const struct result *s = &status->result;

        if (out->json != JSON_OFF)
                return print_json(out, status);

        report_state(out, status);
        fprintf(out->file, "Unmerged %" PRIu64 " %s in %" PRIu64 " %s.\n",
                s->unmerged_pages, plural(s->unmerged_pages, "page", "pages"),
                s->processes, plural(s->processes, "process", "processes"));
        report_tallies(out, "Left out", &s->excluded, "process", "processes");
        report_tallies(out, "Skipped", &s->skipped, "process", "processes");
        report_stop(out, s);
        return 0;
}

int verb_unmerge(const struct options *o)
{
        return job_verb(o, "Unmerge", unmerge_print);
}
