/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/elf.h"
#include "lib/maps.h"

/* Whose memory a range of pages is. mergemem2 gave an anonymous area to the file mapped before it;
 * here the file's program headers say how far that goes. */

enum mm_owner_kind {
        MM_OWNER_NONE,         /* nobody's: shared, the kernel's, or next to a device; never touched */
        MM_OWNER_LIBRARY,      /* ELF file other than the program */
        MM_OWNER_PROGRAM,      /* the file that /proc/PID/exe is */
        MM_OWNER_FILE,         /* private mapping of some other file, or of a memfd */
        MM_OWNER_HEAP,         /* [heap] */
        MM_OWNER_STACK,        /* [stack] */
        MM_OWNER_THREAD_STACK, /* anonymous, readable and writable, right above a guard: PROT_NONE
                                  without a file, at most 1 MiB */
        MM_OWNER_NAMED,        /* [anon:NAME] */
        MM_OWNER_ANON,         /* all other private anonymous memory */
        MM_OWNER_KIND_MAX_
};

/* Which part of an ELF file. */
enum mm_owner_part {
        MM_PART_NONE,
        MM_PART_TEXT,  /* not writable: private pages there come from a debugger or text relocations */
        MM_PART_RELRO, /* PT_GNU_RELRO: relocated, then made read-only; .got lies here with -z now */
        MM_PART_DATA,  /* .data, .got.plt: from the file, written since */
        MM_PART_BSS,   /* anonymous, up to the end of the segment's p_memsz, rounded up to a page */
};

struct mm_range {
        uint64_t start, end;    /* bytes, page-aligned */
        uint8_t owner;          /* enum mm_owner_kind */
        uint8_t part;           /* enum mm_owner_part */
        uint8_t area_flags;     /* MM_AREA_* of the area it lies in */
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

/* "library", "program", ...; "data", "bss", ...: for users to read, never translated. */
const char *mm_owner_kind_name(enum mm_owner_kind kind);
const char *mm_owner_part_name(enum mm_owner_part part);

/* Whether @name, as a user writes a library's, means the file @path: its base name, with or
 * without what follows ".so" ("libm.so", "libm.so.6", "libm" all mean libm.so.6; "libm" does not
 * mean libmvec.so.1). The version may be cut at a dot, as in the names that programs link to
 * ("libz.so.1" means libz.so.1.2.13), and "libm" and "libm.so" mean libm-2.31.so, which is what
 * glibc called its files before 2.34. Names with a slash are paths and are compared by file, not
 * here. */
bool mm_library_name_match(const char *name, const char *path);
