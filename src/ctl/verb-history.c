/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verb-history.h"

#include <time.h>

#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/verbs.h"
#include "shared/format.h"
#include "shared/names.h"

#define USEC_PER_SEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)

/* One of the service's samples: dbus/org.mergemem1.Manager.xml. */
struct sample {
        uint64_t usec, span_usec;
        uint64_t saved_bytes, saved_gross_bytes, shared_frames, merged_pages;
        uint64_t scanned_pages, newly_merged_pages, written_pages, cpu_nsec;
};

static int read_sample(sd_bus_message *m, struct sample *s)
{
        int r;

        r = sd_bus_message_read(m, "tttttttttt", &s->usec, &s->span_usec, &s->saved_bytes,
                                &s->saved_gross_bytes, &s->shared_frames, &s->merged_pages,
                                &s->scanned_pages, &s->newly_merged_pages, &s->written_pages, &s->cpu_nsec);
        return r < 0 ? r : sd_bus_message_skip(m, "a{sv}");
}

static int add_sample(sd_bus_message *m, struct table *t)
{
        char end[64] = "";
        struct sample s;
        struct tm tm;
        time_t when;
        int r;

        r = read_sample(m, &s);
        if (r < 0)
                return r;
        when = (time_t) (s.usec / USEC_PER_SEC);
        if (localtime_r(&when, &tm))
                strftime(end, sizeof(end), "%Y-%m-%d %H:%M", &tm);
        return table_add(t, (struct cell[]){
                { .text = end },
                { .number = s.usec },
                { .text = FORMAT_SPAN(s.span_usec) },
                { .number = s.span_usec },
                { .number = s.saved_bytes },
                { .number = s.saved_gross_bytes },
                { .number = s.shared_frames },
                { .number = s.merged_pages },
                { .number = s.scanned_pages },
                { .number = s.newly_merged_pages },
                { .number = s.written_pages },
                { .text = FORMAT_SPAN(s.cpu_nsec / NSEC_PER_USEC) },
                { .number = s.cpu_nsec },
        });
}

int history_table(const struct output *out, sd_bus_message *m, struct table **ret)
{
        static const struct column columns[] = {
                { .head = "UNTIL", .type = COLUMN_TEXT },
                { .key = "usec", .type = COLUMN_NUMBER },
                { .head = "SPAN", .type = COLUMN_TEXT },
                { .key = "span_usec", .type = COLUMN_NUMBER },
                { .head = "SAVED", .key = "saved_bytes", .type = COLUMN_BYTES },
                { .key = "saved_gross_bytes", .type = COLUMN_NUMBER },
                { .key = "shared_frames", .type = COLUMN_NUMBER },
                { .key = "merged_pages", .type = COLUMN_NUMBER },
                { .head = "SCANNED", .key = "scanned_pages", .type = COLUMN_NUMBER },
                { .head = "MERGED", .key = "newly_merged_pages", .type = COLUMN_NUMBER },
                { .head = "WRITTEN", .key = "written_pages", .type = COLUMN_NUMBER },
                { .head = "CPU", .type = COLUMN_TEXT },
                { .key = "cpu_nsec", .type = COLUMN_NUMBER },
        };

        return list_rows(out, "samples", columns, ELEMENTSOF(columns), m, "tttttttttta{sv}", add_sample,
                         ret);
}

int verb_history(const struct options *o)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(table_freep) struct table *t = NULL;
        struct output out = options_output(o, stdout);
        /* The service puts neighbours together until no more are left; programs do so themselves. */
        uint64_t limit = out.json != JSON_OFF ? 0 : o->limit;
        int status, r;

        status = bus_connect(o, &bus);
        if (status == MERGEMEM_EXIT_DONE)
                status = manager_call_new(bus, "History", NULL, &call);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = sd_bus_message_append(call, "ttu", UINT64_C(0), UINT64_C(0),
                                  (uint32_t) MIN(limit, (uint64_t) UINT32_MAX));
        if (r < 0)
                return bus_error_report(NULL, r);
        status = bus_call(bus, call, &reply);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = history_table(&out, reply, &t);
        if (r < 0)
                return bus_bad_reply(r);
        return o->quiet ? MERGEMEM_EXIT_DONE : output_status(list_print(&out, t));
}
