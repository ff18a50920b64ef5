/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/budget.h"
#include "fuzz.h"
#include "shared/macro.h"

/* The input: the quota, then steps of three bytes: how long nothing happens, or how much of the next slice
 * is used, and by how much it is overdrawn. Whatever the steps, no minute has more than its share and what
 * its slices were overdrawn by. */

#define STEPS_MAX 512U

struct spent {
        uint64_t end_usec, usec, over_usec;
};

static void check(const struct spent *all, size_t n, uint64_t allowed)
{
        uint64_t over = 0, sum = 0;

        for (size_t i = n; i-- > 0 && all[i].end_usec + BUDGET_WINDOW_USEC > all[n - 1].end_usec;) {
                over += all[i].over_usec;
                sum += all[i].usec;
        }
        CHECK(sum <= allowed + over);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct spent all[STEPS_MAX];
        struct budget b = {};
        uint64_t now = 0;
        unsigned quota;
        size_t n = 0;

        if (size < 1)
                return 0;
        quota = data[0] % 100U + 1U;
        for (size_t i = 1; i + 3 <= size && n < STEPS_MAX; i += 3) {
                uint64_t slice = 0, start, over;

                if (data[i] % 2U) {
                        now += (uint64_t) data[i + 1] * data[i + 2] * 5000U;
                        continue;
                }
                start = budget_next(&b, now, quota, 0, &slice);
                CHECK(start >= now && start <= now + BUDGET_WINDOW_USEC * 8U);
                CHECK(slice > 0 && slice <= BUDGET_SLICE_MAX_USEC);
                slice = slice * data[i + 1] / UINT8_MAX;
                over = (uint64_t) data[i + 2] * 10U;
                now = start + slice + over;
                budget_charge(&b, now, slice + over);
                all[n++] = (struct spent) { now, slice + over, over };
                CHECK(b.sum_usec >= slice + over);
                check(all, n, BUDGET_WINDOW_USEC * quota / 100U);
        }
        return 0;
}
