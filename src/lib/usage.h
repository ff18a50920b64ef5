/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/survey.h"

/* How much memory a process uses, counted in frames as Documentation/admin-guide/mm/pagemap.rst proposes,
 * and added up in the arithmetic of /proc/PID/smaps_rollup, with which it agrees to the byte. */

/* Proportional shares are kept with so many bits behind the point. */
#define MM_PSS_SHIFT 12U

struct mm_usage {
        uint64_t rss_pages;     /* in RAM: anonymous, of files, on frames of KSM's and mergemod's */
        uint64_t uss_pages;     /* of them, those on frames that nothing else maps */
        uint64_t pss;           /* bytes << MM_PSS_SHIFT: each frame shared out among all that map it */
        uint64_t swap_pages;    /* on swap devices */
        uint64_t direct_pages;  /* of rss_pages, those on frames of mergemod's */
        uint64_t ksm_pages;     /* and of KSM's */
        uint64_t zero_pages;    /* on the kernel's page of zeros: not in rss_pages */
        uint64_t hugetlb_pages; /* of 4 KiB; not in rss_pages */
        uint64_t unknown_pages; /* in RAM, frame not told: not in rss_pages */
};

/* What one mapping of a frame that is mapped @count times stands for: as above. */
uint64_t mm_pss_share(uint64_t count);

void mm_usage_count(struct mm_usage *u, const struct mm_seen *seen, size_t n);
void mm_usage_add(struct mm_usage *sum, const struct mm_usage *u);
