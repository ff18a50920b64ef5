/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/macro.h"
#include "shared/pattern.h"

char *canonical_cgroup(const char *text)
{
        static const char *const mount_points[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };
        char *copy;
        size_t n;

        for (size_t i = 0; i < ELEMENTSOF(mount_points); i++) {
                n = strlen(mount_points[i]);
                if (strncmp(text, mount_points[i], n) == 0 && (text[n] == '/' || text[n] == 0)) {
                        text += n;
                        break;
                }
        }
        while (text[0] == '/' && text[1] == '/')
                text++;
        copy = strdup(*text ? text : "/");
        if (!copy)
                return NULL;
        for (n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
                copy[n - 1] = 0;
        return copy;
}

char *canonical_unit(const char *text)
{
        static const char *const suffixes[] = {
                ".service", ".scope", ".slice", ".socket", ".mount", ".swap",
        };
        size_t n = strlen(text);
        char *copy;

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                size_t length = strlen(suffixes[i]);

                if (n > length && streq(text + n - length, suffixes[i]))
                        return strdup(text);
        }
        return asprintf(&copy, "%s.service", text) < 0 ? NULL : copy;
}

bool pattern_is_glob(const char *s)
{
        return strpbrk(s, "*?[\\");
}

bool pattern_is_anything(const char *s)
{
        return s[strspn(s, "*?/")] == '\0';
}
