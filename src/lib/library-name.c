/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>

#include "lib/owner.h"

/* "libm-2.31.so", as glibc's files were called before 2.34: the length of "libm", or 0. */
static size_t stem_before_version(const char *base, size_t length)
{
        size_t i = length;

        while (i > 0 && (isdigit((unsigned char)base[i - 1]) || base[i - 1] == '.'))
                i--;
        if (i == 0 || i == length || base[i - 1] != '-' || base[i] == '.')
                return 0;
        return i - 1;
}

/* @name is the first @length bytes of @base, alone or with ".so". */
static bool is_stem(const char *name, const char *base, size_t length)
{
        return length > 0 && strncmp(name, base, length) == 0 &&
               (name[length] == '\0' || streq(name + length, ".so"));
}

bool mm_library_name_match(const char *name, const char *path)
{
        const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *so;
        size_t n = strlen(name);

        if (n == 0)
                return false;
        if (streq(name, base))
                return true;

        so = strstr(base, ".so");
        while (so && so[3] != '\0' && so[3] != '.')
                so = strstr(so + 1, ".so");
        if (!so)
                return false;

        if (is_stem(name, base, (size_t)(so - base)))
                return true;
        if (so[3] == '\0')
                return is_stem(name, base, stem_before_version(base, (size_t)(so - base)));
        /* A version may be given in part: the name that programs link to is libz.so.1, the file
         * libz.so.1.2.13. */
        return n > (size_t)(so + 4 - base) && strncmp(name, base, n) == 0 && base[n] == '.';
}
