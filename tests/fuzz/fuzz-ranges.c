/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/registry.h"
#include "fuzz.h"
#include "shared/macro.h"

/* The input: how many ranges the first set has, then for each the gap before it and its length. */

#define RANGES_MAX 64U
#define PLACES (RANGES_MAX * (UINT8_MAX + UINT8_MAX + 1U))

struct model {
        bool has[PLACES];
};

static void add(struct model *m, const struct worker_range *ranges, size_t n, bool has)
{
        for (size_t i = 0; i < n; i++)
                for (uint64_t k = ranges[i].start; k < ranges[i].end; k++)
                        m->has[k] = has;
}

static void check(const struct model *expected, const struct worker_range *ranges, size_t n)
{
        struct model m = {};

        for (size_t i = 0; i < n; i++) {
                CHECK(ranges[i].start < ranges[i].end && ranges[i].end <= PLACES);
                CHECK(i == 0 || ranges[i - 1].end <= ranges[i].start);
        }
        add(&m, ranges, n, true);
        CHECK(memcmp(m.has, expected->has, sizeof(m.has)) == 0);
}

/* Of the exact size, so that AddressSanitizer sees a step too far. */
static struct worker_range *ranges_from(const uint8_t *data, size_t n)
{
        struct worker_range *ranges = malloc(n * sizeof(*ranges));
        uint64_t at = 0;

        CHECK(ranges || n == 0);
        for (size_t i = 0; i < n; i++) {
                ranges[i].start = at + data[2 * i];
                at = ranges[i].end = ranges[i].start + data[2 * i + 1] + 1U;
        }
        return ranges;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) struct worker_range *a = NULL, *b = NULL, *sum = NULL, *left = NULL;
        struct model both = {}, rest = {};
        size_t n, n_a, n_b, n_sum, n_left;

        if (size < 1)
                return 0;
        n = MIN((size - 1) / 2, 2 * (size_t) RANGES_MAX);
        n_a = MIN((size_t) data[0] % (RANGES_MAX + 1), n);
        n_b = MIN(n - n_a, (size_t) RANGES_MAX);
        a = ranges_from(data + 1, n_a);
        b = ranges_from(data + 1 + 2 * n_a, n_b);

        CHECK(ranges_add(a, n_a, b, n_b, &sum, &n_sum) == 0);
        add(&both, a, n_a, true);
        rest = both;
        add(&both, b, n_b, true);
        check(&both, sum, n_sum);
        for (size_t i = 1; i < n_sum; i++)
                CHECK(sum[i - 1].end < sum[i].start);

        CHECK(ranges_subtract(a, n_a, b, n_b, &left, &n_left) == 0);
        add(&rest, b, n_b, false);
        check(&rest, left, n_left);
        return 0;
}
