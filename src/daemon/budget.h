/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How much CPU time work that nobody waits for may take: over any minute at most CpuQuota= percent of one
 * core. What was spent is kept by second, so that a minute is any minute and not one of the clock's. Pure:
 * the time is the caller's. */

#define BUDGET_WINDOW_USEC (60ULL * 1000U * 1000U)
#define BUDGET_CELL_USEC (1000ULL * 1000U)
/* A minute that begins within a cell touches one more. */
#define BUDGET_CELLS (BUDGET_WINDOW_USEC / BUDGET_CELL_USEC + 1U)

/* Long enough that to begin and end it costs little, short enough that pressure and quotas are looked at
 * while they matter. */
#define BUDGET_SLICE_MAX_USEC (100U * 1000U)
/* Not worth to begin for. */
#define BUDGET_SLICE_MIN_USEC (5U * 1000U)

struct budget {
        uint64_t spent_usec[BUDGET_CELLS]; /* by second, in a ring */
        uint64_t last;                     /* the second of the latest cell */
        uint64_t sum_usec;                 /* of all cells */
};

/* Notes @spent_usec of CPU time. Time that goes backwards counts as standing still. */
void budget_charge(struct budget *b, uint64_t now_usec, uint64_t spent_usec);

/* When the next slice of work may begin, @now_usec or later, and how much CPU time it may take: at least
 * 1 us, at most BUDGET_SLICE_MAX_USEC or @least_usec. What cannot be sliced begins when there is time for
 * all of it, @least_usec; or, if it never fits, when all of the share is free. @quota: percent of one core,
 * from 1. */
uint64_t budget_next(const struct budget *b, uint64_t now_usec, unsigned quota, uint64_t least_usec,
                     uint64_t *ret_slice_usec);
