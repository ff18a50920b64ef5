/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verb-explain.h"

#include <inttypes.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/verbs.h"
#include "shared/format.h"
#include "shared/log.h"
#include "shared/names.h"
#include "shared/parse.h"

static bool merges_all(const struct explanation *e)
{
        return streq(e->merge, "yes") && !e->zero_only;
}

static void print_who(FILE *f, const struct explanation *e)
{
        _cleanup_(freep) char *comm = escape_text(e->comm), *exe = escape_text(e->exe);

        fprintf(f, "Process %" PRIu64 " is %s", e->pid, comm ?: "?");
        if (*e->exe)
                fprintf(f, " (%s)", exe ?: "?");
        fprintf(f, " of user %" PRIu64, e->uid);
        if (*e->unit)
                fprintf(f, ", in the unit %s", e->unit);
        fputs(".\n", f);
}

static void print_rule(FILE *f, const struct explanation *e)
{
        if (e->rule_file)
                fprintf(f, "The rule \"%s\" (%s, line %" PRIu64 ") decides about it", e->rule, e->rule_file,
                        e->rule_line);
        else
                fprintf(f, "No rule is about it in particular, so \"%s\" decides", e->rule);
        if (*e->excluded) {
                fprintf(f, ".\nIt is left alone: %s.\n", e->excluded);
                if (e->liftable)
                        fputs("A rule that names it by unit, cgroup, user or program would lift that.\n", f);
                return;
        }
        if (merges_all(e))
                fputs(": it is looked at and merged", f);
        else if (streq(e->merge, "yes"))
                fputs(": it is looked at, and only pages of zeros are merged", f);
        else
                fputs(": it is looked at, and nothing is merged", f);
        if (e->min_age_usec > 0)
                fprintf(f, ", once it is %s old", FORMAT_SPAN(e->min_age_usec));
        fputs(".\n", f);
}

static void print_domain(FILE *f, const struct explanation *e)
{
        _cleanup_(freep) char *domain = escape_text(e->domain), *busy = escape_text(e->busy_domain);

        if (streq(e->trust, "system"))
                fputs("Its pages may meet those of every process whose rule says so too.\n", f);
        else
                fprintf(f, "Its pages may meet only those of the trust domain \"%s\".\n", domain ?: "?");
        if (!e->mechanism_works)
                fprintf(f, "The mechanism %s would have to merge it, and does not work here.\n",
                        e->mechanism);
        else if (streq(e->mechanism, "observe"))
                fputs("The mechanism in use is observe, which merges nothing.\n", f);
        if (!e->busy)
                return;
        fputs("KSM keeps no domains apart and is used for another one", f);
        if (*e->busy_domain)
                fprintf(f, ", \"%s\"", busy ?: "?");
        fputs(":\nnothing of this one is merged as long as that is.\n", f);
}

static void print_found(FILE *f, const struct explanation *e, uint64_t now_usec)
{
        const struct figures *s = &e->figures;
        uint64_t page = report_page_bytes();

        if (s->last_scan_usec == 0) {
                fputs("It was not looked at yet since the service started.\n", f);
                return;
        }
        fprintf(f, "It was looked at %s ago: of %s of private memory, merging would free %s",
                FORMAT_SPAN(now_usec - MIN(now_usec, s->last_scan_usec)),
                FORMAT_BYTES(s->present_pages * page), FORMAT_BYTES(s->duplicate_frames * page));
        if (s->zero_frames > 0)
                fprintf(f, ", %s of it zeros", FORMAT_BYTES(s->zero_frames * page));
        fputs(".\n", f);
        if (s->merged_pages > 0)
                fprintf(f, "Merged are %" PRIu64 " %s, which saves %s.\n", s->merged_pages,
                        plural(s->merged_pages, "page", "pages"), FORMAT_BYTES(s->saved_bytes));
        if (s->written_pages > 0)
                fprintf(f, "%" PRIu64 " merged %s written to since, and %s alone again.\n", s->written_pages,
                        plural(s->written_pages, "page was", "pages were"),
                        plural(s->written_pages, "is", "are"));
}

static void print_command(FILE *f, const struct explanation *e)
{
        const char *option = *e->unit ? "--unit" : "--exe", *name = *e->unit ? e->unit : e->exe;

        if (merges_all(e) || !*name || !name_is_plain(name) || (*e->excluded && !e->liftable))
                return;
        fprintf(f, "To have all of it merged from now on: mergememctl enable %s=%s\n", option, name);
}

static int owners_table(const struct output *out, const struct explanation *e, uint64_t limit,
                        struct table **ret)
{
        static const struct column columns[] = {
                { .head = "KIND", .key = "kind", .type = COLUMN_TEXT },
                FIGURES_COLUMNS,
                { .head = "RULE", .key = "rule", .type = COLUMN_TEXT },
                { .head = "OWNER", .type = COLUMN_TEXT, .truncate = true },
                { .key = "name", .type = COLUMN_TEXT },
        };
        size_t n = limit > 0 && limit < e->owners.n ? (size_t) limit : e->owners.n;
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        r = table_new(out, "owners", columns, ELEMENTSOF(columns), &t);
        for (size_t i = 0; i < n && r >= 0; i++) {
                const struct explained_owner *o = e->owners.items + i;

                r = table_add(t, (struct cell[]){
                        { .text = o->kind },
                        FIGURES_CELLS(&o->figures),
                        { .text = o->rule },
                        { .text = figures_base_name(o->name) },
                        { .text = o->name },
                });
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

static int print_json(const struct output *out, const struct explanation *e)
{
        static const struct column columns[] = {
                { .key = "pid", .type = COLUMN_NUMBER },
                { .key = "uid", .type = COLUMN_NUMBER },
                { .key = "comm", .type = COLUMN_TEXT },
                { .key = "exe", .type = COLUMN_TEXT },
                { .key = "cgroup", .type = COLUMN_TEXT },
                { .key = "unit", .type = COLUMN_TEXT },
                { .key = "rule", .type = COLUMN_TEXT },
                { .key = "rule_file", .type = COLUMN_TEXT },
                { .key = "rule_line", .type = COLUMN_NUMBER },
                { .key = "merge", .type = COLUMN_TEXT },
                { .key = "zero_only", .type = COLUMN_BOOLEAN },
                { .key = "trust", .type = COLUMN_TEXT },
                { .key = "mechanism", .type = COLUMN_TEXT },
                { .key = "mechanism_works", .type = COLUMN_BOOLEAN },
                { .key = "min_age_usec", .type = COLUMN_NUMBER },
                { .key = "domain", .type = COLUMN_TEXT },
                { .key = "busy", .type = COLUMN_BOOLEAN },
                { .key = "busy_domain", .type = COLUMN_TEXT },
                { .key = "excluded", .type = COLUMN_TEXT },
                { .key = "liftable", .type = COLUMN_BOOLEAN },
                FIGURES_COLUMNS,
        };
        _cleanup_(json_document_done) struct json_document d = {};
        _cleanup_(table_freep) struct table *owners = NULL;
        int r;

        r = json_document_init(&d);
        if (r >= 0)
                r = json_append_row(&d, out, columns, ELEMENTSOF(columns), (struct cell[]){
                        { .number = e->pid },
                        { .number = e->uid },
                        { .text = e->comm },
                        { .text = e->exe },
                        { .text = e->cgroup },
                        { .text = e->unit },
                        { .text = e->rule },
                        { .text = e->rule_file },
                        { .number = e->rule_line },
                        { .text = e->merge },
                        { .number = e->zero_only },
                        { .text = e->trust },
                        { .text = e->mechanism },
                        { .number = e->mechanism_works },
                        { .number = e->min_age_usec },
                        { .text = e->domain },
                        { .number = e->busy },
                        { .text = e->busy_domain },
                        { .text = e->excluded },
                        { .number = e->liftable },
                        FIGURES_CELLS(&e->figures),
                });
        if (r >= 0)
                r = owners_table(out, e, 0, &owners);
        if (r >= 0)
                r = json_append_array(&d, owners);
        return r < 0 ? r : json_document_print(&d, out);
}

int explanation_print(const struct output *out, const struct explanation *e, uint64_t now_usec,
                      uint64_t limit)
{
        _cleanup_(table_freep) struct table *owners = NULL;
        int r;

        if (out->json != JSON_OFF)
                return print_json(out, e);
        print_who(out->file, e);
        print_rule(out->file, e);
        if (!*e->excluded)
                print_domain(out->file, e);
        print_found(out->file, e, now_usec);
        print_command(out->file, e);
        if (e->owners.n == 0)
                return 0;
        r = owners_table(out, e, limit, &owners);
        if (r < 0)
                return r;
        fputc('\n', out->file);
        r = table_print(owners);
        if (r >= 0 && limit > 0 && limit < e->owners.n && out->legend)
                fprintf(out->file, "\n%" PRIu64 " more %s; --limit=0 shows all.\n", e->owners.n - limit,
                        plural(e->owners.n - limit, "owner", "owners"));
        return r;
}

int verb_explain(const struct options *o)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(explanation_done) struct explanation e = {};
        struct output out = options_output(o, stdout);
        struct timespec ts = {};
        uint64_t pid;
        int status, r;

        r = parse_uint64(o->args[0], &pid);
        if (r < 0 || pid == 0 || pid > INT32_MAX) {
                log_error("'%s' is not a process number.", o->args[0]);
                return MERGEMEM_EXIT_USAGE;
        }
        status = bus_connect(o, &bus);
        if (status == MERGEMEM_EXIT_DONE)
                status = manager_call_new(bus, "Explain", NULL, &call);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = sd_bus_message_append(call, "u", (uint32_t) pid);
        if (r < 0)
                return bus_error_report(NULL, r);
        status = bus_call(bus, call, &reply);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = explanation_read(reply, &e);
        if (r < 0)
                return bus_bad_reply(r);
        (void) clock_gettime(CLOCK_REALTIME, &ts);
        return o->quiet ? MERGEMEM_EXIT_DONE
                        : output_status(explanation_print(&out, &e,
                                                          (uint64_t) ts.tv_sec * 1000000U +
                                                                  (uint64_t) ts.tv_nsec / 1000U,
                                                          o->limit));
}
