/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/gains.h"

#include "shared/format.h"

/* Rows of each kind that are shown to people. */
#define SHOWN_MAX 4U

static const struct {
        const char *word, *option;
} kinds[] = {
        [GAIN_LIBRARY] = { "library", "--shlib" },
        [GAIN_PROGRAM] = { "program", "--exe" },
        [GAIN_UNIT] = { "unit", "--unit" },
};

static int add(struct gains *gains, enum gain_kind kind, const char *name, uint32_t processes,
               const struct figures *f)
{
        struct gain *g = NULL, *items;

        if (!*name || f->duplicate_frames + f->saved_bytes == 0)
                return 0;
        for (size_t i = 0; i < gains->n && !g; i++)
                if (gains->items[i].kind == kind && streq(gains->items[i].name, name))
                        g = gains->items + i;
        if (!g) {
                items = reallocarray(gains->items, gains->n + 1, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                gains->items = items;
                g = items + gains->n;
                *g = (struct gain){ .kind = kind, .name = strdup(name) };
                if (!g->name)
                        return -ENOMEM;
                gains->n++;
        }
        g->processes = kind == GAIN_UNIT ? g->processes + processes : MAX(g->processes, processes);
        g->figures.duplicate_frames += f->duplicate_frames;
        g->figures.zero_frames += f->zero_frames;
        g->figures.saved_bytes += f->saved_bytes;
        return 0;
}

static int compare_gains(const void *a, const void *b)
{
        const struct gain *x = a, *y = b;

        if (x->kind != y->kind)
                return (int) x->kind - (int) y->kind;
        if (x->figures.duplicate_frames != y->figures.duplicate_frames)
                return x->figures.duplicate_frames > y->figures.duplicate_frames ? -1 : 1;
        return strcmp(x->name, y->name);
}

static bool is_program(const struct figures_row *owner)
{
        return streq(owner->kind, "program") || streq(owner->kind, "heap") || streq(owner->kind, "anon");
}

int gains_read(const struct figures_rows *owners, const struct figures_rows *cgroups, struct gains *gains)
{
        int r = 0;

        for (size_t i = 0; i < owners->n && r >= 0; i++) {
                const struct figures_row *o = owners->items + i;

                gains->duplicate_frames += o->figures.duplicate_frames;
                gains->zero_frames += o->figures.zero_frames;
                if (streq(o->kind, "library"))
                        r = add(gains, GAIN_LIBRARY, o->name, o->processes, &o->figures);
                else if (is_program(o))
                        r = add(gains, GAIN_PROGRAM, o->name, o->processes, &o->figures);
        }
        for (size_t i = 0; i < cgroups->n && r >= 0; i++) {
                const struct figures_row *c = cgroups->items + i;

                r = add(gains, GAIN_UNIT, c->unit, c->processes, &c->figures);
        }
        if (r >= 0 && gains->n > 0)
                qsort(gains->items, gains->n, sizeof(*gains->items), compare_gains);
        return r;
}

void gains_done(struct gains *gains)
{
        for (size_t i = 0; i < gains->n; i++)
                free(gains->items[i].name);
        free(gains->items);
}

static int gains_table(const struct output *out, const struct gains *gains, size_t shown_max,
                       struct table **ret)
{
        static const struct column columns[] = {
                { .head = "KIND", .key = "kind", .type = COLUMN_TEXT },
                { .head = "PROCESSES", .key = "processes", .type = COLUMN_NUMBER },
                { .head = "FREEABLE", .type = COLUMN_BYTES },
                { .head = "ZEROS", .type = COLUMN_BYTES },
                { .head = "SAVED", .key = "saved_bytes", .type = COLUMN_BYTES },
                { .head = "NAME", .type = COLUMN_TEXT, .truncate = true },
                { .key = "name", .type = COLUMN_TEXT },
                { .key = "duplicate_frames", .type = COLUMN_NUMBER },
                { .key = "zero_frames", .type = COLUMN_NUMBER },
        };
        size_t n_of_kind[GAIN_KIND_MAX_] = {};
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        r = table_new(out, "gains", columns, ELEMENTSOF(columns), &t);
        for (size_t i = 0; i < gains->n && r >= 0; i++) {
                const struct gain *g = gains->items + i;

                if (n_of_kind[g->kind]++ >= shown_max)
                        continue;
                r = table_add(t, (struct cell[]){
                        { .text = kinds[g->kind].word },
                        { .number = g->processes },
                        { .number = g->figures.duplicate_frames * report_page_bytes() },
                        { .number = g->figures.zero_frames * report_page_bytes() },
                        { .number = g->figures.saved_bytes },
                        { .text = figures_base_name(g->name) },
                        { .text = g->name },
                        { .number = g->figures.duplicate_frames },
                        { .number = g->figures.zero_frames },
                });
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

/* One for each kind: the most rewarding. */
static void print_commands(const struct output *out, const struct gains *gains)
{
        int last = -1;

        for (size_t i = 0; i < gains->n; i++) {
                const struct gain *g = gains->items + i;

                if ((int) g->kind == last || g->figures.duplicate_frames == 0 || !name_is_plain(g->name))
                        continue;
                if (last < 0)
                        fputs("\nTo have that merged from now on, among processes of one user each:\n",
                              out->file);
                last = (int) g->kind;
                fprintf(out->file, "  mergememctl enable %s=%s\n", kinds[g->kind].option,
                        g->kind == GAIN_LIBRARY ? figures_base_name(g->name) : g->name);
        }
}

int gains_print(const struct output *out, const struct gains *gains)
{
        _cleanup_(table_freep) struct table *t = NULL;
        uint64_t page = report_page_bytes();
        int r;

        if (gains->duplicate_frames == 0)
                return 0;
        fprintf(out->file, "\nAt the last look merging would have freed %s",
                FORMAT_BYTES(gains->duplicate_frames * page));
        if (gains->zero_frames > 0)
                fprintf(out->file, ", %s of it zeros", FORMAT_BYTES(gains->zero_frames * page));
        fputs(".\n", out->file);
        if (gains->n == 0)
                return 0;
        r = gains_table(out, gains, SHOWN_MAX, &t);
        if (r < 0)
                return r;
        fputc('\n', out->file);
        r = table_print(t);
        if (r >= 0 && out->legend)
                print_commands(out, gains);
        return r;
}

int gains_json(struct json_document *d, const struct output *out, const struct gains *gains)
{
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        r = gains_table(out, gains, SIZE_MAX, &t);
        return r < 0 ? r : json_append_array(d, t);
}
