/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared/macro.h"

/* What long lists need to stay fast. */

/* FNV-1a (Fowler, Noll, Vo): different texts differ in it, unless somebody took trouble. So it finds damage
 * too. */
static inline uint64_t hash_bytes(const char *text, size_t n)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < n; i++)
                hash = (hash ^ (uint8_t) text[i]) * UINT64_C(0x100000001b3);
        return hash;
}

static inline uint64_t hash_text(const char *text)
{
        return hash_bytes(text, strlen(text));
}

/* Room for one more behind @n items of @size bytes, in powers of two. @items, moved maybe, or NULL: there is
 * no memory, and they are where they were. An array that grows by this grows by nothing else. */
static inline void *array_grow(void *items, size_t n, size_t size)
{
        return (n & (n - 1)) == 0 ? reallocarray(items, n > 0 ? 2 * n : 1, size) : items;
}
