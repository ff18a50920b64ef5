/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/ini.h"
#include "shared/log.h"
#include "shared/macro.h"

#define LINE_BYTES_MAX 4096U

static int syntax_error(const struct ini_place *place, const char *what)
{
        return log_error_errno(-EINVAL, "%s:%u: %s", place->name, place->line, what);
}

static char *strip(char *s)
{
        size_t n;

        s += strspn(s, INI_BLANKS);
        for (n = strlen(s); n > 0 && strchr(INI_BLANKS, s[n - 1]); n--)
                ;
        s[n] = '\0';
        return s;
}

/* A line with its blanks stripped that is no comment. @section outlives the line. */
static int parse_text(struct ini_place *place, char *section, char *text,
                      const struct ini_handler *handler, void *userdata)
{
        size_t n = strlen(text);
        char *equals;

        if (text[n - 1] == '\\')
                return syntax_error(place, "a backslash continues no line here; write it as one line");

        if (text[0] == '[') {
                if (n < 3 || text[n - 1] != ']')
                        return syntax_error(place, "not a section header; write a name in brackets: [NAME]");
                text[n - 1] = '\0';
                memcpy(section, text + 1, n - 1);
                return handler->section(place, userdata);
        }

        equals = strchr(text, '=');
        if (!equals || equals == text)
                return syntax_error(place, "neither section, assignment nor comment; write Key=value");
        if (section[0] == '\0')
                return syntax_error(place, "assignment outside of any section; put it below a [NAME]");
        *equals = '\0';
        return handler->assign(place, strip(text), strip(equals + 1), userdata);
}

int ini_parse(const char *name, const char *text, size_t size,
              const struct ini_handler *handler, void *userdata)
{
        char line[LINE_BYTES_MAX], section[LINE_BYTES_MAX] = "";
        struct ini_place place = { .name = name, .section = section };
        const char *end = text + size;

        /* Some editors begin UTF-8 files with a byte order mark. */
        if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
                text += 3;

        while (text < end) {
                const char *newline = memchr(text, '\n', (size_t) (end - text));
                size_t n = (size_t) ((newline ?: end) - text);
                char *stripped;
                int r;

                place.line++;
                if (memchr(text, '\0', n))
                        return syntax_error(&place, "NUL byte; this is not a text file");
                if (n >= sizeof(line))
                        return syntax_error(&place, "line of 4096 bytes or more; make it shorter");
                memcpy(line, text, n);
                line[n] = '\0';
                text = newline ? newline + 1 : end;

                stripped = strip(line);
                if (stripped[0] == '\0' || stripped[0] == '#' || stripped[0] == ';')
                        continue;
                r = parse_text(&place, section, stripped, handler, userdata);
                if (r < 0)
                        return r;
        }
        return 0;
}
