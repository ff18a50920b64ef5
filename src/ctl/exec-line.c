/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/exec-line.h"

#include "shared/macro.h"

#define BLANKS " \t\n\r"

struct line {
        const char *launcher;
        FILE *out;
        char *reason;
};

static int refuse(struct line *l, const char *reason)
{
        (void) snprintf(l->reason, EXEC_REASON_MAX, "%s", reason);
        return -EOPNOTSUPP;
}

/* Where the word that begins at @p ends; NULL: a quote in it does not end, or an escape is none, as that of
 * a blank, which the manager would not take either. */
static const char *word_end(const char *p)
{
        char quote = '\0';

        for (; *p && (quote || !strchr(BLANKS, *p)); p++)
                if (*p == '\\') {
                        if (strchr(BLANKS, *++p))
                                return NULL;
                } else if (*p == quote)
                        quote = '\0';
                else if (!quote && (*p == '"' || *p == '\''))
                        quote = *p;
        return quote ? NULL : p;
}

static bool is_separator(const char *p)
{
        return p[0] == ';' && (!p[1] || strchr(BLANKS, p[1]));
}

/* The letters before a command, each of which means something once. */
static size_t flags_length(const char *p)
{
        bool ignore = false, argv0 = false, literal = false;
        unsigned privileged = 0;
        size_t n = 0;

        for (;; n++)
                if (p[n] == '-' && !ignore)
                        ignore = true;
                else if (p[n] == '@' && !argv0)
                        argv0 = true;
                else if (p[n] == ':' && !literal)
                        literal = true;
                else if (p[n] == '+' && privileged == 0)
                        privileged = 2;
                else if (p[n] == '!' && privileged < 2)
                        privileged++;
                else
                        return n;
}

/* A dollar, in what was the name of the program and is an argument now: these have variables put in. */
static bool has_escaped_dollar(const char *p, size_t n)
{
        static const char *const escapes[] = { "\\x24", "\\044", "\\u0024", "\\U00000024" };

        for (size_t i = 0; i < ELEMENTSOF(escapes); i++)
                if (memmem(p, n, escapes[i], strlen(escapes[i])))
                        return true;
        return false;
}

static int print_program(struct line *l, const char *p, const char *end)
{
        const char *quote = *p == '"' || *p == '\'' ? p : NULL, *at = quote ? p + 1 : p;
        size_t n_flags = flags_length(at);
        const char *program = at + n_flags;
        bool literal = memchr(at, ':', n_flags);

        if (memchr(at, '@', n_flags))
                return refuse(l, "\"@\" gives the program another name than that of its file, which "
                                 "mergemem-run does not do");
        if (*program == '|')
                return refuse(l, "\"|\" has a shell run it, which would get the layout instead");
        if (*program == '\\' || program == end || (quote && *program == *quote))
                return refuse(l, "it does not begin with the name of a program");
        if (!literal && has_escaped_dollar(program, (size_t) (end - program)))
                return refuse(l, "the name of the program has a \"$\" that is written as an escape");
        fprintf(l->out, "%.*s%s %.*s", (int) n_flags, at, l->launcher, quote ? 1 : 0, p);
        for (; program < end; program++)
                fputs(*program == '$' && !literal ? "$$" : (char[]){ *program, '\0' }, l->out);
        return 0;
}

/* One command, up to a separator. */
static int print_command(struct line *l, const char **p)
{
        const char *end = word_end(*p);
        int r;

        if (!end)
                return refuse(l, "a quote in it does not end, or an escape is none");
        r = print_program(l, *p, end);
        if (r < 0)
                return r;
        for (*p = end;;) {
                const char *word = *p + strspn(*p, BLANKS);

                if (!*word || is_separator(word)) {
                        *p = word;
                        return 0;
                }
                end = word_end(word);
                if (!end)
                        return refuse(l, "a quote in it does not end, or an escape is none");
                fwrite(*p, 1, (size_t) (end - *p), l->out);
                *p = end;
        }
}

static int print_line(struct line *l, const char *p)
{
        bool any = false;

        for (;;) {
                int r;

                p += strspn(p, BLANKS);
                if (!*p)
                        return any ? 0 : refuse(l, "there is no command in it");
                if (is_separator(p)) {
                        p++;
                        continue;
                }
                if (any)
                        fputs(" ; ", l->out);
                r = print_command(l, &p);
                if (r < 0)
                        return r;
                any = true;
        }
}

int exec_line_launch(const char *value, const char *launcher, char **ret, char ret_reason[EXEC_REASON_MAX])
{
        struct line l = { .launcher = launcher, .reason = ret_reason };
        char *text = NULL;
        size_t size;
        int r;

        l.out = open_memstream(&text, &size);
        if (!l.out)
                return -ENOMEM;
        r = print_line(&l, value);
        if (fclose(l.out) != 0 && r >= 0)
                r = -ENOMEM;
        if (r < 0) {
                free(text);
                return r;
        }
        *ret = text;
        return 0;
}
