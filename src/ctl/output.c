/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/output.h"

#include <inttypes.h>
#include <libsmartcols.h>

#include "shared/format.h"
#include "shared/log.h"
#include "shared/names.h"

struct table {
        struct libscols_table *scols;
        const struct column *columns;
        size_t n_columns;
        bool json;
        bool wrap; /* its lines must not be longer than those of a terminal */
};

/* How wide lists with commas get: room for three long flags of a page. */
#define LIST_WIDTH 32U

static const char *column_name(const struct table *t, const struct column *c)
{
        return t->json ? c->key : c->head;
}

static int column_add(struct table *t, const struct column *c)
{
        static const int json_types[] = {
                [COLUMN_TEXT] = SCOLS_JSON_STRING,
                [COLUMN_NUMBER] = SCOLS_JSON_NUMBER,
                [COLUMN_BYTES] = SCOLS_JSON_NUMBER,
                [COLUMN_SIZE] = SCOLS_JSON_NUMBER,
                [COLUMN_PERCENT] = SCOLS_JSON_NUMBER,
                [COLUMN_BOOLEAN] = SCOLS_JSON_BOOLEAN,
        };
        bool figure = c->type != COLUMN_TEXT && c->type != COLUMN_BOOLEAN;
        bool wrap = c->wrap && t->wrap;
        struct libscols_column *column;
        int r;

        if (!column_name(t, c))
                return 0;
        column = scols_table_new_column(t->scols, column_name(t, c), c->width,
                                        (figure ? SCOLS_FL_RIGHT : 0) |
                                        (c->truncate ? SCOLS_FL_TRUNC : 0) | (wrap ? SCOLS_FL_WRAP : 0));
        if (!column)
                return -ENOMEM;
        if (wrap) {
                /* At the newlines that break_list() has put there. */
                r = scols_column_set_wrapfunc(column, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
                if (r >= 0)
                        r = scols_column_set_safechars(column, "\n");
                if (r < 0)
                        return r;
        }
        return scols_column_set_json_type(column, json_types[c->type]);
}

int table_new(const struct output *o, const char *key, const struct column *columns, size_t n_columns,
              struct table **ret)
{
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        t = malloc(sizeof(*t));
        if (!t)
                return -ENOMEM;
        *t = (struct table){ .columns = columns, .n_columns = n_columns, .json = o->json != JSON_OFF };
        t->wrap = !t->json && (o->width > 0 || isatty(fileno(o->file)));

        t->scols = scols_new_table();
        if (!t->scols)
                return -ENOMEM;
        r = scols_table_set_name(t->scols, key);
        if (r < 0)
                return r;
        if (o->width > 0) {
                scols_table_set_termforce(t->scols, SCOLS_TERMFORCE_ALWAYS);
                scols_table_set_termwidth(t->scols, o->width);
        }
        scols_table_set_stream(t->scols, o->file);
        scols_table_enable_noencoding(t->scols, true); /* or it would escape our escapes */
        scols_table_enable_json(t->scols, t->json);
        scols_table_enable_noheadings(t->scols, !o->legend);

        for (size_t i = 0; i < n_columns; i++) {
                r = column_add(t, columns + i);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(t);
        return 0;
}

void table_free(struct table *t)
{
        scols_unref_table(t->scols);
        free(t);
}

/* Puts newlines behind some of the commas of @list. A new string; NULL: out of memory. */
static char *break_list(const char *list)
{
        char *broken = malloc(2 * strlen(list) + 1), *q = broken;
        size_t line = 0;

        if (!broken)
                return NULL;
        for (const char *p = list; *p;) {
                size_t n = strcspn(p, ",");

                n += p[n] == ',';
                if (line > 0 && line + n > LIST_WIDTH) {
                        *q++ = '\n';
                        line = 0;
                }
                q = mempcpy(q, p, n);
                line += n;
                p += n;
        }
        *q = '\0';
        return broken;
}

/* A new string; NULL: out of memory. */
static char *cell_text(const struct table *t, const struct column *c, const struct cell *cell)
{
        char *s;
        int r;

        switch (c->type) {
        case COLUMN_BYTES:
                if (!t->json)
                        return strdup(FORMAT_BYTES(cell->number));
                r = asprintf(&s, "%" PRIu64, cell->number);
                break;
        case COLUMN_SIZE:
                if (!t->json)
                        return strdup(FORMAT_SIZE(cell->number));
                r = asprintf(&s, "%" PRIu64, cell->number);
                break;
        case COLUMN_BOOLEAN:
                if (!t->json)
                        return strdup(cell->number ? "yes" : "no");
                r = asprintf(&s, "%d", cell->number != 0);
                break;
        case COLUMN_NUMBER:
                r = asprintf(&s, "%" PRIu64, cell->number);
                break;
        case COLUMN_PERCENT:
                r = t->json ? asprintf(&s, "%.4f", cell->fraction) :
                              asprintf(&s, "%.0f%%", cell->fraction * 100);
                break;
        default:
                s = escape_text(cell->text ?: "");
                if (s && c->wrap && t->wrap) {
                        _cleanup_(freep) char *whole = s;

                        s = break_list(whole);
                }
                return s;
        }
        return r < 0 ? NULL : s;
}

int table_add(struct table *t, const struct cell *cells)
{
        struct libscols_line *line;
        size_t shown = 0;

        line = scols_table_new_line(t->scols, NULL);
        if (!line)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_columns; i++) {
                char *s;
                int r;

                if (!column_name(t, t->columns + i))
                        continue;
                s = cell_text(t, t->columns + i, cells + i);
                if (!s)
                        return -ENOMEM;
                r = scols_line_refer_data(line, shown++, s);
                if (r < 0) {
                        free(s);
                        return r;
                }
        }
        return 0;
}

int table_print(struct table *t)
{
        return scols_table_get_nlines(t->scols) == 0 ? 0 : scols_print_table(t->scols);
}

int table_to_string(struct table *t, char **ret)
{
        return scols_print_table_to_string(t->scols, ret);
}

int output_status(int r)
{
        if (r >= 0)
                return MERGEMEM_EXIT_DONE;
        log_error_errno(r, "Cannot print the result: %m");
        return MERGEMEM_EXIT_FAILED;
}
