/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/page-flags.h"
#include "lib/survey.h"

/* Pages that follow one another, on frames that do so too, and are all alike. */
struct mm_run {
        uint64_t address; /* bytes */
        uint64_t n_pages;
        uint64_t frame; /* the first one; 0: swapped out, or not told */
        uint64_t count; /* how often each is mapped; 0: not known */
        uint64_t flags; /* mm_flags_of_page() */
};

/* Which pages, and how much is told of them. */
struct mm_run_filter {
        const struct mm_flag_filter *flags; /* all must hold */
        size_t n_flags;
        /* What the process's own user can see for himself: no frames, no flags but MM_FLAGS_OF_USERS, and of
         * counts that it is 1. */
        bool reduced;
};

/* Whether @seen is wanted: then as a run of one page. */
bool mm_run_of(const struct mm_run_filter *f, const struct mm_seen *seen, struct mm_run *ret);

/* Makes @run one with @next, which comes behind it, if they are alike and @next follows at once. */
bool mm_run_join(struct mm_run *run, const struct mm_run *next);
