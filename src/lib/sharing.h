/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/survey.h"

/* Which frames of one process others map too. */

/* 16 bytes each. */
#define MM_SHARING_MAX (1U << 20)

/* Frames that a process shares, by number, and where it has them. */
struct mm_sharing {
        struct mm_shared_frame {
                uint64_t frame;
                uint64_t page : 56; /* address / MM_PAGE_SIZE */
                uint64_t kind : 8;  /* enum mm_page_kind */
        } *frames;
        size_t n, allocated;
};

/* Whether its frame is mapped more than once. Everybody maps the kernel's page of zeros, which does not
 * count. */
bool mm_seen_is_shared(const struct mm_seen *s);

void mm_sharing_done(struct mm_sharing *s);
/* Adds those pages that are shared. 0; -ENOBUFS beyond MM_SHARING_MAX, and then none is
 * added; -ENOMEM. */
int mm_sharing_add(struct mm_sharing *s, const struct mm_seen *seen, size_t n);
/* Once all are added. */
void mm_sharing_sort(struct mm_sharing *s);
/* The page with the lowest address that has @frame. */
bool mm_sharing_find(const struct mm_sharing *s, uint64_t frame, uint64_t *ret_address,
                     enum mm_page_kind *ret_kind);

/* Pages that follow one another, here and there and in their frames. */
struct mm_shared_run {
        uint64_t here, there; /* bytes */
        uint64_t n_pages;
        uint64_t frame; /* the first one */
        uint64_t kind;  /* enum mm_page_kind */
};

/* Makes @run one with a page @here and @there on @frame, if that follows at once. */
bool mm_shared_run_join(struct mm_shared_run *run, uint64_t here, uint64_t there, uint64_t frame,
                        enum mm_page_kind kind);
