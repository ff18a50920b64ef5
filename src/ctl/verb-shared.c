/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verb-shared.h"

#include <inttypes.h>

#include "ctl/bus.h"
#include "ctl/dict.h"
#include "ctl/json.h"
#include "ctl/report.h"
#include "ctl/verbs.h"
#include "shared/format.h"
#include "shared/log.h"
#include "shared/names.h"
#include "shared/parse.h"

void sharing_done(struct sharing *s)
{
        for (size_t i = 0; i < s->n; i++)
                free(s->items[i].runs);
        free(s->items);
}

static uint64_t pages_of(const struct sharer *s)
{
        return s->file_pages + s->anon_pages + s->ksm_pages + s->direct_pages + s->hugetlb_pages;
}

static int read_runs(sd_bus_message *m, void *p)
{
        struct sharer *s = (struct sharer *) ((char *) p - offsetof(struct sharer, runs));
        struct shared_run run, *runs;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(tttts)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(tttts)", &run.address, &run.other_address, &run.pages,
                                        &run.frame, &run.kind)) > 0) {
                runs = reallocarray(s->runs, s->n_runs + 1, sizeof(*runs));
                if (!runs)
                        return -ENOMEM;
                s->runs = runs;
                runs[s->n_runs++] = run;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_sharer(sd_bus_message *m, struct sharer *s)
{
        static const struct dict_field fields[] = {
                { "hugetlb_pages", "t", dict_read_u64, offsetof(struct sharer, hugetlb_pages) },
                { "mappings", "t", dict_read_u64, offsetof(struct sharer, mappings) },
                { "run_count", "t", dict_read_u64, offsetof(struct sharer, run_count) },
                { "runs", "a(tttts)", read_runs, offsetof(struct sharer, runs) },
        };
        int r;

        r = sd_bus_message_read(m, "usutttt", &s->pid, &s->comm, &s->uid, &s->file_pages, &s->anon_pages,
                                &s->ksm_pages, &s->direct_pages);
        return r < 0 ? r : dict_read(m, fields, ELEMENTSOF(fields), s);
}

/* Behind the process itself, those with the most in common first. */
static int compare(const void *a, const void *b)
{
        const struct sharer *x = a, *y = b;

        if (pages_of(x) != pages_of(y))
                return pages_of(x) > pages_of(y) ? -1 : 1;
        return x->pid < y->pid ? -1 : x->pid > y->pid;
}

int sharing_read(sd_bus_message *m, struct sharing *s)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(usutttta{sv})");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', "usutttta{sv}")) > 0) {
                struct sharer *items = reallocarray(s->items, s->n + 1, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                s->items = items;
                items[s->n] = (struct sharer) {};
                r = read_sharer(m, &items[s->n++]);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_read(m, "t", &s->next);
        if (r >= 0 && s->n == 0)
                r = -EBADMSG;
        if (r >= 0 && s->n > 2)
                qsort(s->items + 1, s->n - 1, sizeof(*s->items), compare);
        return MIN(r, 0);
}

static int sharers_table(const struct output *out, const struct sharing *s, size_t n, struct table **ret)
{
        static const struct column columns[] = {
                { .head = "PID", .key = "pid", .type = COLUMN_NUMBER },
                { .head = "UID", .key = "uid", .type = COLUMN_NUMBER },
                { .head = "FILE", .type = COLUMN_SIZE },
                { .head = "ANON", .type = COLUMN_SIZE },
                { .head = "KSM", .type = COLUMN_SIZE },
                { .head = "DIRECT", .type = COLUMN_SIZE },
                { .key = "file_pages", .type = COLUMN_NUMBER },
                { .key = "anon_pages", .type = COLUMN_NUMBER },
                { .key = "ksm_pages", .type = COLUMN_NUMBER },
                { .key = "direct_pages", .type = COLUMN_NUMBER },
                { .key = "hugetlb_pages", .type = COLUMN_NUMBER },
                { .head = "COMMAND", .key = "comm", .type = COLUMN_TEXT, .truncate = true },
                { .key = "run_count", .type = COLUMN_NUMBER },
        };
        _cleanup_(table_freep) struct table *t = NULL;
        uint64_t page = report_page_bytes();
        int r;

        r = table_new(out, "processes", columns, ELEMENTSOF(columns), &t);
        for (size_t i = 1; i <= n && r >= 0; i++) {
                const struct sharer *o = &s->items[i];

                r = table_add(t, (struct cell[]){
                        { .number = o->pid },
                        { .number = o->uid },
                        { .number = (o->file_pages + o->hugetlb_pages) * page },
                        { .number = o->anon_pages * page },
                        { .number = o->ksm_pages * page },
                        { .number = o->direct_pages * page },
                        { .number = o->file_pages },
                        { .number = o->anon_pages },
                        { .number = o->ksm_pages },
                        { .number = o->direct_pages },
                        { .number = o->hugetlb_pages },
                        { .text = o->comm },
                        { .number = o->run_count },
                });
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

/* At most @limit rows, all if that is 0; @ret_n: how many there would be. */
static int runs_table(const struct output *out, const struct sharing *s, uint64_t limit, size_t *ret_n,
                      struct table **ret)
{
        static const struct column columns[] = {
                { .head = "PID", .key = "pid", .type = COLUMN_NUMBER },
                { .head = "ADDRESS", .type = COLUMN_TEXT },
                { .key = "address", .type = COLUMN_NUMBER },
                { .key = "other_address", .type = COLUMN_NUMBER },
                { .key = "pages", .type = COLUMN_NUMBER },
                { .head = "FRAME", .type = COLUMN_TEXT },
                { .key = "frame", .type = COLUMN_NUMBER },
                { .head = "KIND", .key = "kind", .type = COLUMN_TEXT },
                { .head = "COMMAND", .type = COLUMN_TEXT, .truncate = true },
        };
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        *ret_n = 0;
        r = table_new(out, "runs", columns, ELEMENTSOF(columns), &t);
        for (size_t i = 1; i < s->n; i++)
                for (size_t k = 0; k < s->items[i].n_runs && r >= 0; k++) {
                        const struct shared_run *run = &s->items[i].runs[k];
                        char there[24], frame[24];

                        if ((*ret_n)++ >= limit && limit > 0)
                                continue;
                        (void) snprintf(there, sizeof(there), "%" PRIx64, run->other_address);
                        (void) snprintf(frame, sizeof(frame), "%" PRIx64, run->frame);
                        r = table_add(t, (struct cell[]){
                                { .number = s->items[i].pid },
                                { .text = there },
                                { .number = run->address },
                                { .number = run->other_address },
                                { .number = run->pages },
                                { .text = frame },
                                { .number = run->frame },
                                { .text = run->kind },
                                { .text = s->items[i].comm },
                        });
                }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

static int print_json(const struct output *out, const struct sharing *s)
{
        static const struct column columns[] = {
                { .key = "pid", .type = COLUMN_NUMBER },
                { .key = "file_pages", .type = COLUMN_NUMBER },
                { .key = "anon_pages", .type = COLUMN_NUMBER },
                { .key = "ksm_pages", .type = COLUMN_NUMBER },
                { .key = "direct_pages", .type = COLUMN_NUMBER },
                { .key = "hugetlb_pages", .type = COLUMN_NUMBER },
                { .key = "mappings", .type = COLUMN_NUMBER },
                { .key = "next_address", .type = COLUMN_NUMBER },
        };
        _cleanup_(json_document_done) struct json_document d = {};
        _cleanup_(table_freep) struct table *sharers = NULL, *runs = NULL;
        const struct sharer *own = &s->items[0];
        size_t n;
        int r;

        r = json_document_init(&d);
        if (r >= 0)
                r = json_append_row(&d, out, columns, ELEMENTSOF(columns), (struct cell[]){
                        { .number = own->pid },
                        { .number = own->file_pages },
                        { .number = own->anon_pages },
                        { .number = own->ksm_pages },
                        { .number = own->direct_pages },
                        { .number = own->hugetlb_pages },
                        { .number = own->mappings },
                        { .number = s->next },
                });
        if (r >= 0)
                r = sharers_table(out, s, s->n - 1, &sharers);
        if (r >= 0)
                r = json_append_array(&d, sharers);
        if (r >= 0)
                r = runs_table(out, s, 0, &n, &runs);
        if (r >= 0)
                r = json_append_array(&d, runs);
        return r < 0 ? r : json_document_print(&d, out);
}

static void print_rest(FILE *f, size_t n, uint64_t limit)
{
        fputc('\n', f);
        if (limit > 0 && n > limit)
                fprintf(f, "%" PRIu64 " more; --limit=0 shows all.\n", (uint64_t) n - limit);
}

/* One page: where else its frame is. */
static int print_page(const struct output *out, const struct sharing *s, uint64_t page, uint64_t limit)
{
        _cleanup_(table_freep) struct table *t = NULL;
        const struct sharer *own = &s->items[0];
        size_t n;
        int r;

        if (pages_of(own) == 0) {
                fprintf(out->file, "The page at %" PRIx64 " is not in RAM, or nobody else has it.\n", page);
                return 0;
        }
        r = runs_table(out, s, limit, &n, &t);
        if (r >= 0)
                r = table_print(t);
        if (r < 0 || !out->legend)
                return r;
        if (n > 0)
                print_rest(out->file, n, limit);
        fprintf(out->file, "The frame at %" PRIx64 " is mapped %" PRIu64 " times; %zu other %s found.\n",
                page, own->mappings, n, plural(n, "place was", "places were"));
        return 0;
}

static void print_kind(FILE *f, uint64_t pages, const char *kind)
{
        if (pages > 0)
                fprintf(f, "  %s %s\n", FORMAT_BYTES(pages * report_page_bytes()), kind);
}

static void print_sum(FILE *f, const struct sharing *s)
{
        const struct sharer *own = &s->items[0];

        if (pages_of(own) == 0)
                fprintf(f, "Process %" PRIu32 " shares nothing.\n", own->pid);
        else
                fprintf(f, "Process %" PRIu32 " shares %s:\n", own->pid,
                        FORMAT_BYTES(pages_of(own) * report_page_bytes()));
        print_kind(f, own->file_pages, "of files, or shared from the start");
        print_kind(f, own->hugetlb_pages, "of huge pages set aside");
        print_kind(f, own->anon_pages, "since a fork");
        print_kind(f, own->ksm_pages, "by KSM");
        print_kind(f, own->direct_pages, "by mergemod");
        if (s->next > 0)
                fprintf(f, "That is not all: frames from %" PRIx64 " on were not looked at.\n", s->next);
}

int sharing_print(const struct output *out, const struct sharing *s, const uint64_t *page, uint64_t limit)
{
        size_t n = s->n - 1;
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        if (out->json != JSON_OFF)
                return print_json(out, s);
        if (page)
                return print_page(out, s, *page, limit);
        r = sharers_table(out, s, limit > 0 ? (size_t) MIN((uint64_t) n, limit) : n, &t);
        if (r >= 0)
                r = table_print(t);
        if (r < 0 || !out->legend)
                return r;
        if (n > 0)
                print_rest(out->file, n, limit);
        print_sum(out->file, s);
        return 0;
}

/* As maps(5) shows it, with or without 0x. */
static int parse_address(const char *s, uint64_t *ret)
{
        size_t n;

        if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
                s += 2;
        n = strlen(s);
        if (n == 0 || n > 16 || strspn(s, "0123456789abcdefABCDEF") != n)
                return -EINVAL;
        *ret = strtoull(s, NULL, 16);
        return 0;
}

int verb_shared(const struct options *o)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(sharing_done) struct sharing s = {};
        struct output out = options_output(o, stdout);
        uint64_t page = 0;
        bool one = o->n_args > 1;
        pid_t pid;
        int status, r;

        if (parse_pid(o->args[0], &pid) < 0) {
                log_error("'%s' is not a process number.", o->args[0]);
                return MERGEMEM_EXIT_USAGE;
        }
        if (one && (parse_address(o->args[1], &page) < 0 || page > INT64_MAX)) {
                log_error("'%s' is not an address of a process, in hexadecimal.", o->args[1]);
                return MERGEMEM_EXIT_USAGE;
        }
        page -= page % report_page_bytes();
        status = bus_connect(o, &bus);
        if (status == MERGEMEM_EXIT_DONE)
                status = manager_call_new(bus, "Sharing", NULL, &call);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = one ? sd_bus_message_append(call, "ua{sv}", (uint32_t) pid, 2, "from", "t", page, "to", "t",
                                        page + report_page_bytes())
                : sd_bus_message_append(call, "ua{sv}", (uint32_t) pid, 0);
        if (r < 0)
                return bus_error_report(NULL, r);
        status = bus_call(bus, call, &reply);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = sharing_read(reply, &s);
        if (r < 0)
                return bus_bad_reply(r);
        return o->quiet ? MERGEMEM_EXIT_DONE
                        : output_status(sharing_print(&out, &s, one ? &page : NULL, o->limit));
}
