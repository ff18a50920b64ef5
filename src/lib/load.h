/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/elf.h"
#include "lib/maps.h"
#include "lib/owner.h"

/* One load of an ELF file into a process: its segments at their linked addresses plus a bias, to
 * the modulus 2^64. Pure arithmetic on program headers. */

struct mm_load {
        const struct mm_elf *elf;
        uint64_t bias;
};

/* Finds the bias that puts @area where a segment of @elf wants it. A page of the file can belong to
 * two segments, the end of one and the start of the next; access rights then tell which one it is.
 * False if no segment has that part of the file. */
bool mm_load_find(const struct mm_elf *elf, const struct mm_area *area, struct mm_load *ret);

/* Whether the page at @address in @area is the one of the file that the load has there. */
bool mm_load_fits(const struct mm_load *l, const struct mm_area *area, uint64_t address);

/* Whether @address lies in no segment: the linker leaves room between them. */
bool mm_load_in_gap(const struct mm_load *l, uint64_t address);

/* The end of the .bss that @address lies in, page-rounded, or 0 if it lies in none. */
uint64_t mm_load_bss_end(const struct mm_load *l, uint64_t address);

/* What the file mapping @area is at @address, and up to where: *@ret_end, at most its end. */
enum mm_owner_part mm_load_part(const struct mm_load *l, const struct mm_area *area, uint64_t address,
                                uint64_t *ret_end);
