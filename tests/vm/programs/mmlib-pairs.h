/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/mmlib.h"

#include "held.h"

/* Two processes with held pages, and what the library does with them. */
struct couple {
        struct peer peers[2];
};

struct couple couple_start(uid_t first, uid_t second, long first_seed, long second_seed);
void couple_end(struct couple *couple);
/* Pages that are wrong in either. */
size_t couple_wrong(const struct couple *couple, long first_seed, long second_seed);
/* Pages of both that are in one frame. */
size_t couple_shared(const struct couple *couple);

/* Each page of the first with the same page of the second. */
void couple_pairs(const struct couple *couple, MEQUALPAIR *pairs);
/* How many have this status. */
size_t pairs_count(const MEQUALPAIR *pairs, size_t n, int status);

/* Page infos of the held pages of a process. */
void held_infos(pid_t pid, MPAGEINFO *infos);

/* A program with the pids of both as arguments. Its exit status. */
int couple_run(const struct couple *couple, const char *program);

/* This process does not see mergemod's device, nor any other, until module_show(). */
void module_hide(void);
void module_show(void);
