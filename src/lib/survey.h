/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/ksm-frame.h"
#include "lib/owner.h"
#include "lib/page-kind.h"

/* A look at all memory of a process, area by area: each page that is there, with what the kernel says of
 * its frame. Nothing of its contents is read. */

struct mm_seen {
        struct mm_page page;
        /* Words of kpagecount and kpageflags, that one judged by mm_ksm_judge(); 0 if there is no frame. */
        uint64_t count, flags;
        enum mm_page_kind kind; /* if frames are asked for */
};

/* Part of one area, all of one owner. */
struct mm_piece {
        uint64_t start, end;
        const struct mm_area *area;
        const struct mm_range *range; /* NULL: nobody's, as far as was asked */
};

struct mm_survey {
        struct mm_pagemap *pagemap;     /* all borrowed */
        const struct mm_kpage *kpage;   /* NULL: of frames nothing is asked */
        const struct mm_areas *areas;
        const struct mm_range *ranges;  /* from mm_owners_assign() of these areas, or none */
        size_t n_ranges;
        const struct mm_ksm_areas *ksm; /* needed with kpage */

        uint64_t next;        /* what lies before it was looked at */
        uint64_t n_pages;     /* that is, so many pages */
        size_t n_too_sparse;  /* areas given up: mm_pages_walk_slices() */
};

/* Cuts the areas of @s into pieces: the first that ends behind @from into *@ret, cut there. False if there
 * is none. */
bool mm_survey_piece(const struct mm_survey *s, uint64_t from, struct mm_piece *ret);

/* Called with the pages of one piece, ascending, at most MM_PAGES_CHUNK of them; @n is 0 between slices
 * where there is nothing. Non-zero ends the survey and is returned. */
typedef int (*mm_survey_cb)(void *userdata, const struct mm_piece *piece, const struct mm_seen *seen,
                            size_t n);

/* Looks at [@from, @to). Its end, wherever that is, is @s->next: UINT64_MAX if nothing is left in that
 * range. 0, -ESRCH when the memory is gone, -ENODATA where the kernel does not tell of frames, what the
 * callback returned, or -errno. */
int mm_survey_walk(struct mm_survey *s, uint64_t from, uint64_t to, mm_survey_cb cb, void *userdata);
