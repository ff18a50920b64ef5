/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verb-memory.h"

#include <inttypes.h>

#include "ctl/bus.h"
#include "ctl/dict.h"
#include "ctl/figures.h"
#include "ctl/json.h"
#include "ctl/report.h"
#include "ctl/verbs.h"
#include "shared/format.h"
#include "shared/names.h"

/* Heads of the last column, by what rows are about. */
static const struct {
        const char *by, *head;
} kinds[] = {
        { "process", "COMMAND" }, { "program", "PROGRAM" }, { "user", "USER" },
        { "cgroup", "CGROUP" },   { "library", "LIBRARY" },
};

bool memory_by_is_known(const char *what)
{
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (streq(kinds[i].by, what))
                        return true;
        return false;
}

static const char *head_of(const char *by)
{
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (streq(kinds[i].by, by))
                        return kinds[i].head;
        return "NAME";
}

void memory_rows_done(struct memory_rows *rows)
{
        for (size_t i = 0; i < rows->n; i++) {
                free(rows->items[i].exe);
                free(rows->items[i].cgroup);
                free(rows->items[i].unit);
        }
        free(rows->items);
}

static int compare(const void *a, const void *b)
{
        const struct memory_row *x = a, *y = b;

        if (x->figures.pss_bytes != y->figures.pss_bytes)
                return x->figures.pss_bytes > y->figures.pss_bytes ? -1 : 1;
        if (x->pid != y->pid)
                return x->pid < y->pid ? -1 : 1;
        return strcmp(x->name, y->name);
}

static int read_row(sd_bus_message *m, struct memory_row *row)
{
#define FIGURE(name) { #name, "t", dict_read_u64, offsetof(struct memory_row, figures.name) }
        static const struct dict_field fields[] = {
                { "pid", "u", dict_read_u32, offsetof(struct memory_row, pid) },
                { "uid", "u", dict_read_u32, offsetof(struct memory_row, uid) },
                { "device", "t", dict_read_u64, offsetof(struct memory_row, device) },
                { "inode", "t", dict_read_u64, offsetof(struct memory_row, inode) },
                { "exe", "s", dict_read_text, offsetof(struct memory_row, exe) },
                { "cgroup", "s", dict_read_text, offsetof(struct memory_row, cgroup) },
                { "unit", "s", dict_read_text, offsetof(struct memory_row, unit) },
                { "incomplete", "b", dict_read_bool, offsetof(struct memory_row, incomplete) },
                { "unread_processes", "u", dict_read_u32,
                  offsetof(struct memory_row, figures.unread_processes) },
                FIGURE(direct_bytes),
                FIGURE(ksm_bytes),
                FIGURE(zero_bytes),
                FIGURE(hugetlb_bytes),
                FIGURE(duplicate_frames),
                FIGURE(zero_frames),
        };
#undef FIGURE
        struct memory_figures *f = &row->figures;
        int r;

        r = sd_bus_message_read(m, "sutttt", &row->name, &row->processes, &f->rss_bytes, &f->pss_bytes,
                                &f->uss_bytes, &f->swap_bytes);
        return r < 0 ? r : dict_read(m, fields, ELEMENTSOF(fields), row);
}

int memory_read(sd_bus_message *m, struct memory_rows *rows)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sutttta{sv})");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', "sutttta{sv}")) > 0) {
                struct memory_row *items;

                items = reallocarray(rows->items, rows->n + 1, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                rows->items = items;
                items[rows->n] = (struct memory_row) {};
                r = read_row(m, &items[rows->n++]);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r >= 0 && rows->n > 0)
                qsort(rows->items, rows->n, sizeof(*rows->items), compare);
        return r;
}

static void add_up(const struct memory_rows *rows, struct memory_figures *sum)
{
        for (size_t i = 0; i < rows->n; i++) {
                const struct memory_figures *f = &rows->items[i].figures;

                sum->rss_bytes += f->rss_bytes;
                sum->pss_bytes += f->pss_bytes;
                sum->uss_bytes += f->uss_bytes;
                sum->swap_bytes += f->swap_bytes;
                sum->direct_bytes += f->direct_bytes;
                sum->ksm_bytes += f->ksm_bytes;
                sum->zero_bytes += f->zero_bytes;
                sum->hugetlb_bytes += f->hugetlb_bytes;
                sum->duplicate_frames += f->duplicate_frames;
                sum->zero_frames += f->zero_frames;
                sum->unread_processes += f->unread_processes;
        }
}

#define FIGURES_JSON_COLUMNS                                            \
        { .key = "rss_bytes", .type = COLUMN_NUMBER },                  \
        { .key = "pss_bytes", .type = COLUMN_NUMBER },                  \
        { .key = "uss_bytes", .type = COLUMN_NUMBER },                  \
        { .key = "swap_bytes", .type = COLUMN_NUMBER },                 \
        { .key = "direct_bytes", .type = COLUMN_NUMBER },               \
        { .key = "ksm_bytes", .type = COLUMN_NUMBER },                  \
        { .key = "zero_bytes", .type = COLUMN_NUMBER },                 \
        { .key = "hugetlb_bytes", .type = COLUMN_NUMBER },              \
        { .key = "duplicate_frames", .type = COLUMN_NUMBER },           \
        { .key = "zero_frames", .type = COLUMN_NUMBER },                \
        { .key = "unread_processes", .type = COLUMN_NUMBER }
#define FIGURES_JSON_CELLS(f)                                           \
        { .number = (f)->rss_bytes }, { .number = (f)->pss_bytes },     \
        { .number = (f)->uss_bytes }, { .number = (f)->swap_bytes },    \
        { .number = (f)->direct_bytes }, { .number = (f)->ksm_bytes },  \
        { .number = (f)->zero_bytes }, { .number = (f)->hugetlb_bytes }, \
        { .number = (f)->duplicate_frames }, { .number = (f)->zero_frames }, \
        { .number = (f)->unread_processes }

static int print_json(const struct output *out, const char *by, const struct memory_rows *rows)
{
        static const struct column sums[] = {
                { .key = "by", .type = COLUMN_TEXT },
                FIGURES_JSON_COLUMNS,
        };
        static const struct column columns[] = {
                { .key = "name", .type = COLUMN_TEXT },
                { .key = "processes", .type = COLUMN_NUMBER },
                { .key = "pid", .type = COLUMN_NUMBER },
                { .key = "uid", .type = COLUMN_NUMBER },
                FIGURES_JSON_COLUMNS,
                { .key = "incomplete", .type = COLUMN_BOOLEAN },
                { .key = "exe", .type = COLUMN_TEXT },
                { .key = "cgroup", .type = COLUMN_TEXT },
                { .key = "unit", .type = COLUMN_TEXT },
                { .key = "device", .type = COLUMN_NUMBER },
                { .key = "inode", .type = COLUMN_NUMBER },
        };
        _cleanup_(json_document_done) struct json_document d = {};
        _cleanup_(table_freep) struct table *t = NULL;
        struct memory_figures sum = {};
        int r;

        add_up(rows, &sum);
        r = json_document_init(&d);
        if (r >= 0)
                r = json_append_row(&d, out, sums, ELEMENTSOF(sums),
                                    (struct cell[]){ { .text = by }, FIGURES_JSON_CELLS(&sum) });
        if (r >= 0)
                r = table_new(out, "memory", columns, ELEMENTSOF(columns), &t);
        for (size_t i = 0; i < rows->n && r >= 0; i++) {
                const struct memory_row *row = &rows->items[i];

                r = table_add(t, (struct cell[]){
                        { .text = row->name },
                        { .number = row->processes },
                        { .number = row->pid },
                        { .number = row->uid },
                        FIGURES_JSON_CELLS(&row->figures),
                        { .number = row->incomplete },
                        { .text = row->exe },
                        { .text = row->cgroup },
                        { .text = row->unit },
                        { .number = row->device },
                        { .number = row->inode },
                });
        }
        if (r >= 0)
                r = json_append_array(&d, t);
        return r < 0 ? r : json_document_print(&d, out);
}

/* Columns with nothing in them leave their room to names. */
static int make_table(const struct output *out, const char *by, const struct memory_rows *rows, size_t n,
                      const struct memory_figures *sum, struct table **ret)
{
        bool processes = streq(by, "process");
        const struct column columns[] = {
                { .head = processes ? "PID" : "PROCESSES", .type = COLUMN_NUMBER },
                { .head = "RSS", .type = COLUMN_SIZE },
                { .head = "PSS", .type = COLUMN_SIZE },
                { .head = "USS", .type = COLUMN_SIZE },
                { .head = sum->swap_bytes > 0 ? "SWAP" : NULL, .type = COLUMN_SIZE },
                { .head = sum->direct_bytes > 0 ? "DIRECT" : NULL, .type = COLUMN_SIZE },
                { .head = sum->ksm_bytes > 0 ? "KSM" : NULL, .type = COLUMN_SIZE },
                { .head = sum->zero_bytes > 0 ? "ZERO" : NULL, .type = COLUMN_SIZE },
                { .head = sum->hugetlb_bytes > 0 ? "HUGETLB" : NULL, .type = COLUMN_SIZE },
                { .head = sum->duplicate_frames > 0 ? "FREEABLE" : NULL, .type = COLUMN_SIZE },
                { .head = head_of(by), .type = COLUMN_TEXT, .truncate = true },
        };
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        r = table_new(out, "memory", columns, ELEMENTSOF(columns), &t);
        for (size_t i = 0; i < n && r >= 0; i++) {
                const struct memory_row *row = &rows->items[i];
                const struct memory_figures *f = &row->figures;

                r = table_add(t, (struct cell[]){
                        { .number = processes ? row->pid : row->processes },
                        { .number = f->rss_bytes },
                        { .number = f->pss_bytes },
                        { .number = f->uss_bytes },
                        { .number = f->swap_bytes },
                        { .number = f->direct_bytes },
                        { .number = f->ksm_bytes },
                        { .number = f->zero_bytes },
                        { .number = f->hugetlb_bytes },
                        { .number = f->duplicate_frames * report_page_bytes() },
                        { .text = !*row->name           ? "(none)"
                                  : streq(by, "cgroup") ? row->name
                                                        : figures_base_name(row->name) },
                });
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

static void print_sums(const struct output *out, const struct memory_rows *rows, size_t n_shown,
                       const struct memory_figures *sum)
{
        bool incomplete = false;
        FILE *f = out->file;

        for (size_t i = 0; i < rows->n; i++)
                incomplete = incomplete || rows->items[i].incomplete;
        fputc('\n', f);
        if (rows->n > n_shown)
                fprintf(f, "%zu more; --limit=0 shows all.\n", rows->n - n_shown);
        fprintf(f, "In all: RSS %s, PSS %s, USS %s, swap %s.\n", FORMAT_BYTES(sum->rss_bytes),
                FORMAT_BYTES(sum->pss_bytes), FORMAT_BYTES(sum->uss_bytes), FORMAT_BYTES(sum->swap_bytes));
        if (sum->unread_processes > 0)
                fprintf(f, "%" PRIu64 " %s could not be looked at.\n", sum->unread_processes,
                        plural(sum->unread_processes, "process", "processes"));
        if (incomplete)
                fputs("Areas that are next to empty were not looked through.\n", f);
}

int memory_print(const struct output *out, const char *by, const struct memory_rows *rows, uint64_t limit)
{
        size_t n = limit > 0 ? (size_t) MIN((uint64_t) rows->n, limit) : rows->n;
        _cleanup_(table_freep) struct table *t = NULL;
        struct memory_figures sum = {};
        int r;

        if (out->json != JSON_OFF)
                return print_json(out, by, rows);
        add_up(rows, &sum);
        r = make_table(out, by, rows, n, &sum, &t);
        if (r >= 0)
                r = table_print(t);
        if (r >= 0 && out->legend)
                print_sums(out, rows, n, &sum);
        return r;
}

int verb_memory(const struct options *o)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(memory_rows_done) struct memory_rows rows = {};
        struct output out = options_output(o, stdout);
        const char *by = o->by ?: "process";
        int status, r;

        status = bus_connect(o, &bus);
        if (status == MERGEMEM_EXIT_DONE)
                status = manager_call_new(bus, "Memory", &o->what, &call);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = sd_bus_message_append(call, "s", by);
        if (r < 0)
                return bus_error_report(NULL, r);
        status = bus_call(bus, call, &reply);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = memory_read(reply, &rows);
        if (r < 0)
                return bus_bad_reply(r);
        return o->quiet ? MERGEMEM_EXIT_DONE : output_status(memory_print(&out, by, &rows, o->limit));
}
