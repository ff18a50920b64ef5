/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/procfs.h"

/* The pages of a process that are there, from /proc/PID/pagemap
 * (Documentation/admin-guide/mm/pagemap.rst). */

enum {
        MM_PAGE_PRESENT = 1 << 0,
        MM_PAGE_SWAPPED = 1 << 1,   /* to a swap device; other uses of such entries do not count */
        MM_PAGE_FILE = 1 << 2,      /* page cache or shared memory (bit 61): not private yet */
        MM_PAGE_EXCLUSIVE = 1 << 3, /* mapped exactly once (bit 56) */
        MM_PAGE_ZERO = 1 << 4,      /* the kernel's own page of zeros: costs nothing */
        MM_PAGE_KSM = 1 << 5,       /* set by those who looked it up in kpageflags */
};

struct mm_page {
        uint64_t address; /* bytes */
        uint64_t frame;   /* page frame number; 0 if the kernel does not tell (CAP_SYS_ADMIN) */
        uint8_t flags;    /* MM_PAGE_* */
};

/* An open pagemap. It stays with the memory the process had when it was opened: after an exec
 * there is nothing in it. */
struct mm_pagemap;
int mm_pagemap_open(int process_fd, struct mm_pagemap **ret);
struct mm_pagemap *mm_pagemap_free(struct mm_pagemap *pm);
DEFINE_CLEANUP_FUNC(struct mm_pagemap *, mm_pagemap_free)

/* From now on @pm walks as on a kernel without PAGEMAP_SCAN. */
void mm_pagemap_forget_scan(struct mm_pagemap *pm);

/* At most so many pages in one call of the callback. */
#define MM_PAGES_CHUNK 512U

/* Called with present or swapped pages, ascending. Non-zero ends the walk and is returned. */
typedef int (*mm_pages_cb)(void *userdata, const struct mm_page *pages, size_t n);

/* Walks what is present or swapped in [@start, @end). Holes are skipped by PAGEMAP_SCAN (Linux
 * 6.7) where there is one; without it, whole pages of pagemap are read, at most @budget words of it
 * (0: no limit), and -E2BIG says that the budget is used up: the range holds next to nothing.
 * @ret_next, which may be NULL, is then the address to go on at.
 * 0, -ESRCH when the memory is gone, what the callback returned, or -errno. */
int mm_pages_walk(struct mm_pagemap *pm, uint64_t start, uint64_t end, uint64_t budget,
                  mm_pages_cb cb, void *userdata, uint64_t *ret_next);

/* The same for large ranges: without PAGEMAP_SCAN it goes in slices of a few milliseconds, calls @tick,
 * which may be NULL, between them, and gives up where there is no page for 256 GiB, as reservations are
 * that big: *@ret_sparse. *@at moves along with the slices. What is not 0 from @cb or @tick ends it and is
 * returned. */
typedef int (*mm_pages_tick)(void *userdata);
int mm_pages_walk_slices(struct mm_pagemap *pm, uint64_t *at, uint64_t end, mm_pages_cb cb,
                         mm_pages_tick tick, void *userdata, bool *ret_sparse);

/* The 64-bit words of pagemap for @n pages from @address: for looking again. Returns words read,
 * fewer than @n at the end of the address space; -ESRCH when the memory is gone, -errno. */
ssize_t mm_pagemap_read(struct mm_pagemap *pm, uint64_t address, uint64_t *words, size_t n);
/* One word as a page. @zero_frame: from mm_zero_frame(), 0 if not known. */
struct mm_page mm_pagemap_decode(uint64_t word, uint64_t address, uint64_t zero_frame);

/* Frame of our own page at @p; 0 if there is none, or the kernel does not tell. */
uint64_t mm_frame_at(const void *p);

/* Frame of the kernel's zero page, found through our own pagemap; 0 if not told. */
uint64_t mm_zero_frame(void);
