/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verb-pages.h"

#include <inttypes.h>

#include "ctl/bus.h"
#include "ctl/figures.h"
#include "ctl/json.h"
#include "ctl/report.h"
#include "ctl/verbs.h"
#include "lib/page-flags.h"
#include "shared/format.h"
#include "shared/log.h"
#include "shared/names.h"
#include "shared/parse.h"

char *pages_flags_text(uint64_t flags)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        const char *comma = "";

        if (!f)
                return NULL;
        for (unsigned i = 0; i < 64; i++)
                if (flags & UINT64_C(1) << i) {
                        if (mm_flag_name(i))
                                fprintf(f, "%s%s", comma, mm_flag_name(i));
                        else
                                fprintf(f, "%s%u", comma, i);
                        comma = ",";
                }
        if (fclose(f) == 0)
                return text;
        free(text);
        return NULL;
}

int pages_view_init(struct pages_view *v, const struct output *out, uint64_t limit)
{
        static const struct column columns[] = {
                { .head = "ADDRESS", .type = COLUMN_TEXT },
                { .key = "address", .type = COLUMN_NUMBER },
                { .head = "PAGES", .key = "pages", .type = COLUMN_NUMBER },
                { .head = "FRAME", .type = COLUMN_TEXT },
                { .key = "frame", .type = COLUMN_NUMBER },
                { .head = "COUNT", .key = "map_count", .type = COLUMN_NUMBER },
                { .head = "OWNER", .type = COLUMN_TEXT, .truncate = true },
                { .key = "owner_kind", .type = COLUMN_TEXT },
                { .key = "owner", .type = COLUMN_TEXT },
                { .head = "FLAGS", .key = "flags", .type = COLUMN_TEXT, .wrap = true },
        };

        *v = (struct pages_view) { .out = out, .limit = out->json == JSON_OFF ? limit : 0 };
        return table_new(out, "pages", columns, ELEMENTSOF(columns), &v->table);
}

void pages_view_done(struct pages_view *v)
{
        if (v->table)
                table_free(v->table);
}

/* What has no name is called by its kind. */
static char *owner_text(const char *kind, const char *owner)
{
        char *text;

        if (*owner)
                return strdup(figures_base_name(owner));
        return asprintf(&text, "[%s]", kind) < 0 ? NULL : text;
}

static int add_run(struct pages_view *v, uint64_t address, uint64_t n, uint64_t frame, uint64_t count,
                   uint64_t flags, const char *kind, const char *owner)
{
        _cleanup_(freep) char *names = pages_flags_text(flags), *who = owner_text(kind, owner);
        char address_text[24], frame_text[24] = "";

        if (!names || !who)
                return -ENOMEM;
        (void) snprintf(address_text, sizeof(address_text), "%" PRIx64, address);
        if (frame > 0)
                (void) snprintf(frame_text, sizeof(frame_text), "%" PRIx64, frame);
        return table_add(v->table, (struct cell[]){
                { .text = address_text },
                { .number = address },
                { .number = n },
                { .text = frame_text },
                { .number = frame },
                { .number = count },
                { .text = who },
                { .text = kind },
                { .text = owner },
                { .text = names },
        });
}

static int read_run(struct pages_view *v, sd_bus_message *m)
{
        uint64_t address, n, frame, count, flags;
        const char *kind, *owner;
        int r;

        r = sd_bus_message_read(m, "tttttss", &address, &n, &frame, &count, &flags, &kind, &owner);
        if (r >= 0)
                r = sd_bus_message_skip(m, "a{sv}");
        if (r < 0)
                return r;
        v->n_runs++;
        v->n_pages += n;
        v->n_single += count == 1 ? n : 0;
        v->n_swapped += flags & UINT64_C(1) << MM_FLAG_SWAP ? n : 0;
        if (v->limit > 0 && v->n_shown >= v->limit)
                return 0;
        v->n_shown++;
        return add_run(v, address, n, frame, count, flags, kind, owner);
}

int pages_view_read(struct pages_view *v, sd_bus_message *m, uint64_t *ret_next)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(tttttssa{sv})");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', "tttttssa{sv}")) > 0) {
                r = read_run(v, m);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_read(m, "t", ret_next);
}

static int print_json(struct pages_view *v)
{
        static const struct column sums[] = {
                { .key = "page_count", .type = COLUMN_NUMBER },
                { .key = "single_pages", .type = COLUMN_NUMBER },
                { .key = "swapped_pages", .type = COLUMN_NUMBER },
        };
        _cleanup_(json_document_done) struct json_document d = {};
        int r;

        r = json_document_init(&d);
        if (r >= 0)
                r = json_append_row(&d, v->out, sums, ELEMENTSOF(sums), (struct cell[]){
                        { .number = v->n_pages },
                        { .number = v->n_single },
                        { .number = v->n_swapped },
                });
        if (r >= 0)
                r = json_append_array(&d, v->table);
        return r < 0 ? r : json_document_print(&d, v->out);
}

int pages_view_print(struct pages_view *v)
{
        FILE *f = v->out->file;
        int r;

        if (v->out->json != JSON_OFF)
                return print_json(v);
        r = table_print(v->table);
        if (r < 0 || !v->out->legend)
                return r;
        if (v->n_runs > 0)
                fputc('\n', f);
        if (v->n_runs > v->n_shown)
                fprintf(f, "%" PRIu64 " more; --limit=0 shows all.\n", v->n_runs - v->n_shown);
        fprintf(f, "In all %" PRIu64 " %s (%s): %" PRIu64 " mapped once, %" PRIu64 " swapped.\n",
                v->n_pages, plural(v->n_pages, "page", "pages"),
                FORMAT_BYTES(v->n_pages * report_page_bytes()), v->n_single, v->n_swapped);
        return 0;
}

static int append_options(sd_bus_message *m, const struct options *o, uint64_t from)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "from", "t", from);
        if (r >= 0 && o->owner)
                r = sd_bus_message_append(m, "{sv}", "owner", "s", o->owner);
        if (r >= 0 && o->what.others)
                r = sd_bus_message_append(m, "{sv}", "others", "b", 1);
        if (r >= 0 && o->n_flags > 0) {
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", "flags");
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'v', "as");
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'a', "s");
                for (size_t i = 0; i < o->n_flags && r >= 0; i++)
                        r = sd_bus_message_append(m, "s", o->flags[i]);
                for (int i = 0; i < 3 && r >= 0; i++)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* One answer of many, maybe. */
static int fetch(sd_bus *bus, const struct options *o, pid_t pid, struct pages_view *v, uint64_t *next)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        uint64_t from = *next;
        int status, r;

        status = manager_call_new(bus, "Pages", NULL, &call);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = sd_bus_message_append(call, "u", (uint32_t) pid);
        if (r >= 0)
                r = append_options(call, o, from);
        if (r == -EINVAL) {
                log_error("--owner and --flags are texts in UTF-8.");
                return MERGEMEM_EXIT_USAGE;
        }
        if (r < 0)
                return bus_error_report(NULL, r);
        status = bus_call(bus, call, &reply);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = pages_view_read(v, reply, next);
        /* Who goes on where he was will never come to an end. */
        if (r >= 0 && *next != 0 && *next <= from)
                r = -EBADMSG;
        return r < 0 ? bus_bad_reply(r) : MERGEMEM_EXIT_DONE;
}

int verb_pages(const struct options *o)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(pages_view_done) struct pages_view v = {};
        struct output out = options_output(o, stdout);
        uint64_t next = 0;
        pid_t pid;
        int status, r;

        if (parse_pid(o->args[0], &pid) < 0) {
                log_error("'%s' is not a process number.", o->args[0]);
                return MERGEMEM_EXIT_USAGE;
        }
        r = pages_view_init(&v, &out, o->limit);
        if (r < 0)
                return output_status(r);
        status = bus_connect(o, &bus);
        do
                if (status == MERGEMEM_EXIT_DONE)
                        status = fetch(bus, o, pid, &v, &next);
        while (status == MERGEMEM_EXIT_DONE && next != 0);
        if (status != MERGEMEM_EXIT_DONE || o->quiet)
                return status;
        return output_status(pages_view_print(&v));
}
