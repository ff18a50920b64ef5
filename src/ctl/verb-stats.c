/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verb-stats.h"

#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/dict.h"
#include "ctl/json.h"
#include "ctl/verbs.h"
#include "shared/format.h"
#include "shared/names.h"

#define USEC_PER_SEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)

/* With the labels before it, what a terminal of 80 columns holds. */
#define VALUE_WIDTH 66U

static int read_mechanisms(sd_bus_message *m, void *p)
{
        struct stats_mechanisms *mechanisms = p;
        const char *name, *reason;
        int works, r;

        r = sd_bus_message_enter_container(m, 'a', "(sbs)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(sbs)", &name, &works, &reason)) > 0) {
                struct stats_mechanism *item;

                item = reallocarray(mechanisms->items, mechanisms->n + 1, sizeof(*item));
                if (!item)
                        return -ENOMEM;
                mechanisms->items = item;
                item += mechanisms->n++;
                *item = (struct stats_mechanism){
                        .name = strdup(name),
                        .works = works,
                        .reason = strdup(reason),
                };
                if (!item->name || !item->reason)
                        return -ENOMEM;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

#define FIELD(key, type, read, member) { key, type, read, offsetof(struct stats, member) }

int stats_read(sd_bus_message *m, struct stats *s)
{
        static const struct dict_field fields[] = {
                FIELD("Version", "s", dict_read_text, version),
                FIELD("Mechanism", "s", dict_read_text, mechanism),
                FIELD("MechanismReason", "s", dict_read_text, mechanism_reason),
                FIELD("Mechanisms", "a(sbs)", read_mechanisms, mechanisms),
                FIELD("SavedBytes", "t", dict_read_u64, saved_bytes),
                FIELD("SavedGrossBytes", "t", dict_read_u64, saved_gross_bytes),
                FIELD("MetadataBytes", "t", dict_read_u64, metadata_bytes),
                FIELD("SharedFrames", "t", dict_read_u64, shared_frames),
                FIELD("MergedPages", "t", dict_read_u64, merged_pages),
                FIELD("RegisteredProcesses", "u", dict_read_u32, registered_processes),
                FIELD("PagesScannedTotal", "t", dict_read_u64, pages_scanned_total),
                FIELD("PagesMergedTotal", "t", dict_read_u64, pages_merged_total),
                FIELD("PagesFailedTotal", "t", dict_read_u64, pages_failed_total),
                FIELD("PagesBrokenTotal", "t", dict_read_u64, pages_broken_total),
                FIELD("CPUUsageNSec", "t", dict_read_u64, cpu_usage_nsec),
                FIELD("KsmdCPUUsageNSec", "t", dict_read_u64, ksmd_cpu_usage_nsec),
                FIELD("LastScanUSec", "t", dict_read_u64, last_scan_usec),
        };

        return dict_read(m, fields, ELEMENTSOF(fields), s);
}

void stats_done(struct stats *s)
{
        free(s->version);
        free(s->mechanism);
        free(s->mechanism_reason);
        for (size_t i = 0; i < s->mechanisms.n; i++) {
                free(s->mechanisms.items[i].name);
                free(s->mechanisms.items[i].reason);
        }
        free(s->mechanisms.items);
        gains_done(&s->gains);
}

static int append_figures(struct json_document *d, const struct output *out, const struct stats *s)
{
        static const struct column columns[] = {
                { .key = "version", .type = COLUMN_TEXT },
                { .key = "mechanism", .type = COLUMN_TEXT },
                { .key = "mechanism_reason", .type = COLUMN_TEXT },
                { .key = "saved_bytes", .type = COLUMN_NUMBER },
                { .key = "saved_gross_bytes", .type = COLUMN_NUMBER },
                { .key = "metadata_bytes", .type = COLUMN_NUMBER },
                { .key = "shared_frames", .type = COLUMN_NUMBER },
                { .key = "merged_pages", .type = COLUMN_NUMBER },
                { .key = "registered_processes", .type = COLUMN_NUMBER },
                { .key = "pages_scanned_total", .type = COLUMN_NUMBER },
                { .key = "pages_merged_total", .type = COLUMN_NUMBER },
                { .key = "pages_failed_total", .type = COLUMN_NUMBER },
                { .key = "pages_broken_total", .type = COLUMN_NUMBER },
                { .key = "cpu_usage_nsec", .type = COLUMN_NUMBER },
                { .key = "ksmd_cpu_usage_nsec", .type = COLUMN_NUMBER },
                { .key = "last_scan_usec", .type = COLUMN_NUMBER },
                { .key = "exact", .type = COLUMN_BOOLEAN },
        };

        return json_append_row(d, out, columns, ELEMENTSOF(columns), (struct cell[]){
                { .text = s->version },
                { .text = s->mechanism },
                { .text = s->mechanism_reason },
                { .number = s->saved_bytes },
                { .number = s->saved_gross_bytes },
                { .number = s->metadata_bytes },
                { .number = s->shared_frames },
                { .number = s->merged_pages },
                { .number = s->registered_processes },
                { .number = s->pages_scanned_total },
                { .number = s->pages_merged_total },
                { .number = s->pages_failed_total },
                { .number = s->pages_broken_total },
                { .number = s->cpu_usage_nsec },
                { .number = s->ksmd_cpu_usage_nsec },
                { .number = s->last_scan_usec },
                { .number = s->exact },
        });
}

static int print_json(const struct output *out, const struct stats *s)
{
        static const struct column columns[] = {
                { .key = "name", .type = COLUMN_TEXT },
                { .key = "works", .type = COLUMN_BOOLEAN },
                { .key = "reason", .type = COLUMN_TEXT },
        };
        _cleanup_(json_document_done) struct json_document d = {};
        _cleanup_(table_freep) struct table *mechanisms = NULL;
        int r;

        r = json_document_init(&d);
        if (r < 0)
                return r;
        r = append_figures(&d, out, s);
        if (r < 0)
                return r;
        r = table_new(out, "mechanisms", columns, ELEMENTSOF(columns), &mechanisms);
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->mechanisms.n; i++) {
                const struct stats_mechanism *m = s->mechanisms.items + i;

                r = table_add(mechanisms, (struct cell[]){
                        { .text = m->name },
                        { .number = m->works },
                        { .text = m->reason },
                });
                if (r < 0)
                        return r;
        }
        r = json_append_array(&d, mechanisms);
        if (r >= 0)
                r = gains_json(&d, out, &s->gains);
        if (r < 0)
                return r;
        return json_document_print(&d, out);
}

/* "3min 2s ago (Mon 2025-01-27 10:11:12 UTC)" */
static char *format_ago(uint64_t usec, uint64_t now_usec)
{
        time_t t = (time_t) (usec / USEC_PER_SEC);
        char absolute[64] = "", *ret;
        struct tm tm;

        if (usec == 0)
                return strdup("never");
        if (localtime_r(&t, &tm))
                strftime(absolute, sizeof(absolute), "%a %Y-%m-%d %H:%M:%S %Z", &tm);
        if (asprintf(&ret, "%s ago (%s)", FORMAT_SPAN(now_usec > usec ? now_usec - usec : 0), absolute) < 0)
                return NULL;
        return ret;
}

/* Labels and values. The first error stays, so that rows need no check each. */
struct summary {
        struct table *table;
        int error;
};

/* The end of what fits into a row, at a blank if there is one. */
static size_t row_length(const char *text)
{
        size_t n = strlen(text), end = VALUE_WIDTH;

        if (n <= VALUE_WIDTH)
                return n;
        while (end > 0 && text[end] != ' ')
                end--;
        return end > 0 ? end : n;
}

static _printf_(3, 4) void summary_add(struct summary *s, const char *label, const char *format, ...)
{
        _cleanup_(freep) char *value = NULL;
        va_list ap;
        int r;

        if (s->error < 0)
                return;
        va_start(ap, format);
        r = vasprintf(&value, format, ap);
        va_end(ap);
        if (r < 0) {
                s->error = -ENOMEM;
                return;
        }
        for (char *p = value; *p && s->error >= 0; label = "") {
                char *row = p;

                p += row_length(p);
                if (*p)
                        *p++ = '\0';
                s->error = table_add(s->table, (struct cell[]){ { .text = label }, { .text = row } });
        }
}

static int print_summary(const struct output *out, const struct stats *s, uint64_t now_usec)
{
        static const struct column columns[] = {
                { .head = "LABEL", .type = COLUMN_TEXT },
                { .head = "VALUE", .type = COLUMN_TEXT },
        };
        struct output plain = *out;
        _cleanup_(table_freep) struct table *t = NULL;
        _cleanup_(freep) char *ago = NULL;
        struct summary sum = {};
        int r;

        ago = format_ago(s->last_scan_usec, now_usec);
        if (!ago)
                return -ENOMEM;
        plain.legend = false; /* the labels say all */
        r = table_new(&plain, "stats", columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;

        sum.table = t;
        summary_add(&sum, "Mechanism:", "%s (%s)", s->mechanism ?: "unknown", s->mechanism_reason ?: "");
        summary_add(&sum, "Saved:", "%s (%s before %s of bookkeeping)", FORMAT_BYTES(s->saved_bytes),
                    FORMAT_BYTES(s->saved_gross_bytes), FORMAT_BYTES(s->metadata_bytes));
        summary_add(&sum, "Sharing:", "%" PRIu64 " %s on %" PRIu64 " %s",
                    s->merged_pages, plural(s->merged_pages, "page", "pages"),
                    s->shared_frames, plural(s->shared_frames, "frame", "frames"));
        summary_add(&sum, "Registered:", "%" PRIu64 " %s", s->registered_processes,
                    plural(s->registered_processes, "process", "processes"));
        summary_add(&sum, "Scanned:", "%" PRIu64 " pages", s->pages_scanned_total);
        summary_add(&sum, "Merged:",
                    "%" PRIu64 " pages, %" PRIu64 " failed, %" PRIu64 " broken by writes since",
                    s->pages_merged_total, s->pages_failed_total, s->pages_broken_total);
        /* In a PID namespace the service does not see ksmd, and then does not know. */
        if (s->ksmd_cpu_usage_nsec > 0)
                summary_add(&sum, "CPU time:", "%s mergememd, %s ksmd",
                            FORMAT_SPAN(s->cpu_usage_nsec / NSEC_PER_USEC),
                            FORMAT_SPAN(s->ksmd_cpu_usage_nsec / NSEC_PER_USEC));
        else
                summary_add(&sum, "CPU time:", "%s mergememd",
                            FORMAT_SPAN(s->cpu_usage_nsec / NSEC_PER_USEC));
        summary_add(&sum, "Last scan:", "%s", ago);
        if (!s->exact)
                summary_add(&sum, "Rounded:", "%s", "as everybody may see it; root sees all");
        r = sum.error < 0 ? sum.error : table_print(t);
        return r < 0 ? r : gains_print(out, &s->gains);
}

int stats_print(const struct output *out, const struct stats *s, uint64_t now_usec)
{
        return out->json != JSON_OFF ? print_json(out, s) : print_summary(out, s, now_usec);
}

static uint64_t now_realtime_usec(void)
{
        struct timespec ts = {};

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / NSEC_PER_USEC;
}

/* For root, and who else may know without being asked for a password: the exact totals. Others keep the
 * rounded ones. */
static int read_exact(sd_bus *bus, struct stats *s)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int status, r;

        status = manager_call_new(bus, "Totals", NULL, &call);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = sd_bus_message_set_allow_interactive_authorization(call, false);
        if (r >= 0)
                r = sd_bus_call(bus, call, 0, &error, &reply);
        if (r < 0)
                return bus_error_status(error.name, r) == MERGEMEM_EXIT_NOT_PERMITTED
                               ? MERGEMEM_EXIT_DONE
                               : bus_error_report(&error, r);
        r = stats_read(reply, s);
        if (r < 0)
                return bus_bad_reply(r);
        s->exact = true;
        return MERGEMEM_EXIT_DONE;
}

/* A list of what may be seen. */
static int call_list(sd_bus *bus, const char *method, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        const struct selector all = {};
        int status;

        status = manager_call_new(bus, method, &all, &call);
        return status != MERGEMEM_EXIT_DONE ? status : bus_call(bus, call, ret);
}

static int read_gains(sd_bus *bus, struct gains *gains)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *owners_reply = NULL, *cgroups_reply = NULL;
        _cleanup_(figures_rows_done) struct figures_rows owners = {}, cgroups = {};
        int status, r;

        status = call_list(bus, "ListOwners", &owners_reply);
        if (status == MERGEMEM_EXIT_DONE)
                status = call_list(bus, "ListCgroups", &cgroups_reply);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = figures_read_owners(owners_reply, &owners);
        if (r >= 0)
                r = figures_read_cgroups(cgroups_reply, &cgroups);
        if (r >= 0)
                r = gains_read(&owners, &cgroups, gains);
        return r < 0 ? bus_bad_reply(r) : MERGEMEM_EXIT_DONE;
}

int verb_stats(const struct options *o)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(stats_done) struct stats s = {};
        struct output out = options_output(o, stdout);
        int status, r;

        status = bus_connect(o, &bus);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                               "org.freedesktop.DBus.Properties", "GetAll",
                               &error, &reply, "s", MERGEMEM_MANAGER_INTERFACE);
        if (r < 0)
                return bus_error_report(&error, r);
        r = stats_read(reply, &s);
        if (r < 0)
                return bus_bad_reply(r);
        status = read_exact(bus, &s);
        if (status == MERGEMEM_EXIT_DONE)
                status = read_gains(bus, &s.gains);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        return o->quiet ? MERGEMEM_EXIT_DONE : output_status(stats_print(&out, &s, now_realtime_usec()));
}
