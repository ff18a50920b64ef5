/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/unit.h"
#include "shared/format.h"

#define BLANKS " \t\n\r"

struct parsing {
        const char *file;
        struct settings *settings;
        char *section;
        unsigned line; /* at which the assignment at hand begins */
};

static char *strip(char *s)
{
        size_t n;

        s += strspn(s, BLANKS);
        for (n = strlen(s); n > 0 && strchr(BLANKS, s[n - 1]); n--)
                ;
        s[n] = '\0';
        return s;
}

/* One line, or several that were joined. */
static int parse_assignment(struct parsing *p, char *text)
{
        const struct conf_origin origin = { .file = p->file, .line = p->line };
        char *l = strip(text), *equals;
        size_t n = strlen(l);

        if (n == 0)
                return 0;
        if (l[0] == '[') {
                free(p->section);
                /* What stands below a header that is none belongs nowhere. */
                p->section = strndup(l + 1, l[n - 1] == ']' ? n - 2 : 0);
                return p->section ? 0 : -ENOMEM;
        }
        equals = strchr(l, '=');
        if (!equals || !p->section || !*p->section)
                return 0;
        *equals = '\0';
        return settings_add(p->settings, p->section, strip(l), strip(equals + 1), &origin);
}

/* Whether the last character is a backslash that no other one stands for; then it becomes a blank. */
static bool cut_continuation(char *text)
{
        bool escaped = false;
        char *c;

        for (c = text; *c; c++)
                escaped = !escaped && *c == '\\';
        if (escaped)
                c[-1] = ' ';
        return escaped;
}

static int join(char **joined, const char *line)
{
        char *longer;

        if (asprintf(&longer, "%s%s", *joined ?: "", line) < 0)
                return -ENOMEM;
        free(*joined);
        *joined = longer;
        return 0;
}

static int parse_lines(struct parsing *p, char *text, char **joined)
{
        char *line, *rest = text;
        int r;

        for (unsigned n = 1; (line = strsep(&rest, "\n")); n++) {
                const char *first = line + strspn(line, BLANKS);

                /* In the middle of a line that is continued, too. */
                if (*first == '#' || *first == ';')
                        continue;
                if (!*joined)
                        p->line = n;
                r = join(joined, line);
                if (r < 0)
                        return r;
                if (cut_continuation(*joined))
                        continue;
                r = parse_assignment(p, *joined);
                free(TAKE_PTR(*joined));
                if (r < 0)
                        return r;
        }
        return *joined ? parse_assignment(p, *joined) : 0;
}

int unit_parse(const char *file, const char *text, size_t size, struct settings *s)
{
        _cleanup_(freep) char *copy = NULL, *joined = NULL;
        struct parsing p = { .file = file, .settings = s };
        int r;

        /* Some editors begin UTF-8 files with a byte order mark. */
        if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
                text += 3;
                size -= 3;
        }
        copy = strndup(text, size);
        if (!copy)
                return -ENOMEM;
        r = parse_lines(&p, copy, &joined);
        free(p.section);
        return r;
}
