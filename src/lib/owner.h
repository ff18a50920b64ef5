/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/elf.h"
#include "lib/maps.h"
#include "lib/mmlib.h"

/* Whose memory a range of pages is. mergemem2 gave an anonymous area to the file mapped before it;
 * here the file's program headers say how far that goes. */

#define MM_OWNER_KIND_MAX_ (MM_OWNER_ANON + 1)

struct mm_range {
        uint64_t start, end;    /* bytes, page-aligned */
        uint8_t owner;          /* enum mm_owner_kind */
        uint8_t part;           /* enum mm_owner_part */
        bool file_backed;       /* the area maps a file: `direct` cannot serve it, KSM can */
        struct mm_file_id file; /* LIBRARY, PROGRAM, FILE */
        const char *name;       /* path, area name or ""; belongs to the areas */
};

/* What mm_owners_assign() asks for a file that is mapped at @area. Returns 1 and headers, 0 if it
 * is no ELF (or cannot be read). Negative ends the assignment. */
typedef int (*mm_elf_lookup_t)(void *userdata, const struct mm_area *area, const struct mm_elf **ret);

/* Cuts @areas into ranges with one owner each: ascending, disjoint, only private areas (MAP_PRIVATE),
 * MM_OWNER_NONE left out. @exe: the program's file, may be unknown.
 * The rule: a private mapping of an ELF file belongs to it; anonymous memory that follows the last
 * mapping of one load of that file without a gap belongs to it as far as p_memsz of that load's
 * segment reaches, page-rounded; the rest of such an area is MM_OWNER_ANON. One file loaded twice
 * is two loads. What follows a device mapping without a gap, and what follows that, is nobody's;
 * a file ends such a row, since one that is mapped later lands right below what was there.
 * Returns 0 and a new array, -ENOMEM, or what @lookup returned. */
int mm_owners_assign(const struct mm_areas *areas, const struct mm_file_id *exe,
                     mm_elf_lookup_t lookup, void *userdata,
                     struct mm_range **ret, size_t *ret_n);

/* Whether @name, as a user writes a library's, means the file @path: its base name, with or
 * without what follows ".so" ("libm.so", "libm.so.6", "libm" all mean libm.so.6; "libm" does not
 * mean libmvec.so.1). The version may be cut at a dot, as in the names that programs link to
 * ("libz.so.1" means libz.so.1.2.13), and "libm" and "libm.so" mean libm-2.31.so, which is what
 * glibc called its files before 2.34. Names with a slash are paths and are compared by file, not
 * here. */
bool mm_library_name_match(const char *name, const char *path);
