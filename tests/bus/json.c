/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

#include <glib.h>
#include <string.h>

#define DEPTH_MAX 32

static const char *skip_space(const char *p)
{
        return p + strspn(p, " \t\r\n");
}

static const char *skip_string(const char *p)
{
        if (*p++ != '"')
                return NULL;
        for (; *p != '"'; p++) {
                if ((unsigned char)*p < 0x20)
                        return NULL;
                if (*p != '\\')
                        continue;
                p++;
                if (*p == 'u') {
                        for (int i = 1; i <= 4; i++)
                                if (!g_ascii_isxdigit(p[i]))
                                        return NULL;
                        p += 4;
                } else if (*p == '\0' || !strchr("\"\\/bfnrt", *p)) {
                        return NULL;
                }
        }
        return p + 1;
}

static const char *skip_digits(const char *p)
{
        size_t n = strspn(p, "0123456789");

        return n > 0 ? p + n : NULL;
}

static const char *skip_number(const char *p)
{
        if (*p == '-')
                p++;
        p = *p == '0' ? p + 1 : skip_digits(p);
        if (p && *p == '.')
                p = skip_digits(p + 1);
        if (p && (*p == 'e' || *p == 'E'))
                p = skip_digits(p + 1 + (p[1] == '+' || p[1] == '-'));
        return p;
}

static const char *skip_value(const char *p, unsigned depth);

static const char *skip_container(const char *p, unsigned depth)
{
        char close = *p == '{' ? '}' : ']';

        p = skip_space(p + 1);
        if (*p == close)
                return p + 1;
        for (;;) {
                if (close == '}') {
                        p = skip_string(p);
                        if (!p)
                                return NULL;
                        p = skip_space(p);
                        if (*p++ != ':')
                                return NULL;
                }
                p = skip_value(p, depth);
                if (!p)
                        return NULL;
                if (*p == close)
                        return p + 1;
                if (*p != ',')
                        return NULL;
                p = skip_space(p + 1);
        }
}

static const char *skip_value(const char *p, unsigned depth)
{
        static const char *const words[] = { "true", "false", "null" };

        if (depth == DEPTH_MAX)
                return NULL;
        p = skip_space(p);
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
                if (g_str_has_prefix(p, words[i]))
                        return skip_space(p + strlen(words[i]));
        if (*p == '{' || *p == '[')
                p = skip_container(p, depth + 1);
        else if (*p == '"')
                p = skip_string(p);
        else
                p = skip_number(p);
        return p ? skip_space(p) : NULL;
}

bool json_valid(const char *text)
{
        const char *end = g_utf8_validate(text, -1, NULL) ? skip_value(text, 0) : NULL;

        return end && *end == '\0';
}

uint64_t json_number(const char *text, const char *key)
{
        char *quoted = g_strdup_printf("\"%s\"", key);
        const char *p = strstr(text, quoted);

        if (!p)
                g_error("no \"%s\" in %s", key, text);
        p = skip_space(p + strlen(quoted));
        g_assert_cmpint(*p, ==, ':');
        p = skip_space(p + 1);
        g_assert_true(g_ascii_isdigit(*p));
        g_free(quoted);
        return g_ascii_strtoull(p, NULL, 10);
}
