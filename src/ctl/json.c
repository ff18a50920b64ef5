/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/json.h"

#include <stdio.h>

#include "shared/macro.h"

#define INDENT 3 /* libsmartcols' own */

static const char *skip_blanks(const char *p)
{
        return p + strspn(p, " \t\r\n");
}

static void new_line(FILE *f, bool pretty, unsigned depth)
{
        if (pretty)
                fprintf(f, "\n%*s", (int) depth * INDENT, "");
}

/* Copies the string that begins at @p with its quotes. Returns what follows. */
static const char *copy_string(FILE *f, const char *p)
{
        const char *begin = p++;

        while (*p && *p != '"')
                p += *p == '\\' && p[1] ? 2 : 1;
        if (*p)
                p++;
        fwrite(begin, 1, (size_t) (p - begin), f);
        return p;
}

char *json_reflow(const char *text, bool pretty)
{
        char *ret = NULL;
        size_t size = 0;
        unsigned depth = 0;
        FILE *f;

        f = open_memstream(&ret, &size);
        if (!f)
                return NULL;

        for (const char *p = skip_blanks(text); *p; p = skip_blanks(p))
                switch (*p) {
                case '"':
                        p = copy_string(f, p);
                        break;
                case '{':
                case '[': {
                        const char *next = skip_blanks(p + 1);

                        fputc(*p, f);
                        p++;
                        if (*next == '}' || *next == ']') {
                                fputc(*next, f);
                                p = next + 1;
                        } else
                                new_line(f, pretty, ++depth);
                        break;
                }
                case '}':
                case ']':
                        new_line(f, pretty, depth > 0 ? --depth : 0);
                        fputc(*p++, f);
                        break;
                case ',':
                        fputc(*p++, f);
                        new_line(f, pretty, depth);
                        break;
                case ':':
                        fputs(pretty ? ": " : ":", f);
                        p++;
                        break;
                default:
                        fputc(*p++, f);
                }

        if (fclose(f) == 0)
                return ret;
        free(ret);
        return NULL;
}

int json_document_init(struct json_document *d)
{
        *d = (struct json_document){};
        d->members = open_memstream(&d->text, &d->size);
        return d->members ? 0 : -ENOMEM;
}

void json_document_done(struct json_document *d)
{
        if (d->members)
                fclose(d->members);
        free(d->text);
}

/* libsmartcols prints { "key": [ {row}, ... ] }. Takes what is between the outer braces, or, @row,
 * what is between those of the only row. */
static int members_append(struct json_document *d, struct table *t, bool row)
{
        _cleanup_(freep) char *text = NULL;
        char *begin, *end;
        int r;

        r = table_to_string(t, &text);
        if (r < 0)
                return r;

        begin = strchr(text, '{');
        end = strrchr(text, '}');
        if (row && begin && end) {
                begin = strchr(begin + 1, '{');
                end = memrchr(text, '}', (size_t) (end - text));
        }
        if (!begin || !end || end < begin)
                return -EBADMSG;

        if (d->begun)
                fputc(',', d->members);
        d->begun = true;
        fwrite(begin + 1, 1, (size_t) (end - begin - 1), d->members);
        return 0;
}

int json_append_row(struct json_document *d, const struct output *o, const struct column *columns,
                    size_t n_columns, const struct cell *cells)
{
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        r = table_new(o, "row", columns, n_columns, &t);
        if (r < 0)
                return r;
        r = table_add(t, cells);
        if (r < 0)
                return r;
        return members_append(d, t, true);
}

int json_append_array(struct json_document *d, struct table *t)
{
        return members_append(d, t, false);
}

int json_document_print(struct json_document *d, const struct output *o)
{
        _cleanup_(freep) char *text = NULL, *flowed = NULL;

        if (fclose(TAKE_PTR(d->members)) != 0)
                return -ENOMEM;
        if (asprintf(&text, "{%s}", d->text) < 0)
                return -ENOMEM;
        flowed = json_reflow(text, o->json == JSON_PRETTY);
        if (!flowed)
                return -ENOMEM;
        fprintf(o->file, "%s\n", flowed);
        return 0;
}

int json_print_row(const struct output *o, const struct column *columns, size_t n_columns,
                   const struct cell *cells)
{
        _cleanup_(json_document_done) struct json_document d = {};
        int r;

        r = json_document_init(&d);
        if (r >= 0)
                r = json_append_row(&d, o, columns, n_columns, cells);
        return r < 0 ? r : json_document_print(&d, o);
}
