/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/kernel-page-flags.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/pages.h"

/* Flags of pages by name, and conditions on them, as page-types (tools/mm/page-types.c of the kernel's
 * sources) knows them: bits 0 to 26 are those of kpageflags (<linux/kernel-page-flags.h>), the last ones
 * come from pagemap. */

#define MM_FLAG_FILE 61U           /* of a file's cache, or shared memory */
#define MM_FLAG_SWAP 62U           /* swapped out */
#define MM_FLAG_MMAP_EXCLUSIVE 63U /* mapped once */

/* What pagemap tells a process's own user: these and KPF_ZERO_PAGE. */
#define MM_FLAGS_OF_USERS                                       \
        (UINT64_C(1) << MM_FLAG_FILE |                          \
         UINT64_C(1) << MM_FLAG_SWAP |                          \
         UINT64_C(1) << MM_FLAG_MMAP_EXCLUSIVE |                \
         UINT64_C(1) << KPF_ZERO_PAGE)

/* "anonymous"; NULL for bits without a name. */
const char *mm_flag_name(unsigned bit);

/* All flags of @page, whose frame has the word @kpageflags. As in page-types, those for kernel developers
 * are left out, and whether a page is the head or a tail is told of hugetlbfs's only. */
uint64_t mm_flags_of_page(const struct mm_page *page, uint64_t kpageflags);

/* A condition:
 *   "a,b"     at least one of the flags
 *   "a,~b"    all of those without "~", and none of those with it
 *   "a,b=a"   of the flags before "=", those behind it and no others; behind it may be none
 *   "=a,b"    these flags and no others at all
 * "!" stands for "~" too. A name may be cut short where only one flag begins so: "anon" is anonymous.
 * 0x400 are flags by their bits. */
struct mm_flag_filter {
        uint64_t mask, bits;
        bool any; /* at least one of mask; else (flags & mask) == bits */
};

/* Where a condition is wrong: @n characters (0: the end) from @at on. */
struct mm_flag_error {
        size_t at, n;
        const char *what; /* "no such flag": to be shown behind the text in question; static */
};

#define MM_FLAG_TEXT_MAX 1024U

/* 0 and *@ret, or -EINVAL and *@error. */
int mm_flag_filter_parse(const char *text, struct mm_flag_filter *ret, struct mm_flag_error *error);

static inline bool mm_flag_filter_match(const struct mm_flag_filter *f, uint64_t flags)
{
        return f->any ? (flags & f->mask) != 0 : (flags & f->mask) == f->bits;
}
