/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/owner.h"
#include "lib/vmflags.h"

/* All that is known of a process's areas at once. */
struct mm_ranges {
        struct mm_areas areas; /* the names live here */
        struct mm_vmflags *flags;
        size_t n_flags;
        struct mm_range *items; /* private memory with its owners */
        size_t n;
};

/* Reads it from /proc/PID, @process_fd; headers of files go into @cache; if that is NULL
 * nobody is asked whose memory it is, and there are no ranges. @flags: those of smaps too, for
 * which page tables are walked. Can hang as mm_areas_read() and mm_elf_read_mapped(). 0 and *@ret
 * (mm_ranges_done), -ESRCH, -EACCES, -E2BIG, -ENOMEM, ... */
int mm_ranges_read(struct mm_elf_cache *cache, int process_fd, const struct mm_file_id *exe, bool flags,
                   struct mm_ranges *ret);
void mm_ranges_done(struct mm_ranges *r);
