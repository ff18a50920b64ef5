/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/budget.h"
#include "shared/macro.h"

/* What of the cells is older than a minute at second @second. */
static uint64_t expired_usec(const struct budget *b, uint64_t second)
{
        uint64_t first = b->last >= BUDGET_CELLS ? b->last - BUDGET_CELLS + 1U : 0, sum = 0;

        if (second >= b->last + BUDGET_CELLS)
                return b->sum_usec;
        for (uint64_t s = first; s + BUDGET_CELLS <= second; s++)
                sum += b->spent_usec[s % BUDGET_CELLS];
        return sum;
}

void budget_charge(struct budget *b, uint64_t now_usec, uint64_t spent_usec)
{
        uint64_t second = MAX(now_usec / BUDGET_CELL_USEC, b->last);

        if (second >= b->last + BUDGET_CELLS) {
                *b = (struct budget) { .last = second };
        } else
                while (b->last < second) {
                        uint64_t *oldest = &b->spent_usec[++b->last % BUDGET_CELLS];

                        b->sum_usec -= *oldest;
                        *oldest = 0;
                }
        b->spent_usec[second % BUDGET_CELLS] += spent_usec;
        b->sum_usec += spent_usec;
}

uint64_t budget_next(const struct budget *b, uint64_t now_usec, unsigned quota, uint64_t least_usec,
                     uint64_t *ret_slice_usec)
{
        uint64_t allowed = BUDGET_WINDOW_USEC / 100U * MAX(quota, 1U);
        uint64_t least = MAX((uint64_t) BUDGET_SLICE_MIN_USEC, least_usec);
        uint64_t second = MAX(now_usec / BUDGET_CELL_USEC, b->last), start = now_usec;
        uint64_t longest = MAX(least_usec, (uint64_t) BUDGET_SLICE_MAX_USEC), left;

        least = MIN(least, allowed);
        for (;;) {
                uint64_t spent = b->sum_usec - expired_usec(b, second);

                left = allowed - MIN(allowed, spent);
                if (left >= least)
                        break;
                second++;
                start = second * BUDGET_CELL_USEC;
        }
        *ret_slice_usec = MIN(left, longest);
        return start;
}
