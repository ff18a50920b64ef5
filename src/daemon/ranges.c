/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/registry.h"

static int compare_ranges(const void *a, const void *b)
{
        const struct worker_range *x = a, *y = b;

        return x->start < y->start ? -1 : x->start > y->start;
}

int ranges_add(const struct worker_range *a, size_t n_a, const struct worker_range *b, size_t n_b,
               struct worker_range **ret, size_t *ret_n)
{
        struct worker_range *sum;
        size_t n = 0;

        sum = calloc(MAX(n_a + n_b, (size_t) 1), sizeof(*sum));
        if (!sum)
                return -ENOMEM;
        if (n_a > 0)
                memcpy(sum, a, n_a * sizeof(*a));
        if (n_b > 0)
                memcpy(sum + n_a, b, n_b * sizeof(*b));
        qsort(sum, n_a + n_b, sizeof(*sum), compare_ranges);
        for (size_t i = 0; i < n_a + n_b; i++) {
                if (n > 0 && sum[i].start <= sum[n - 1].end)
                        sum[n - 1].end = MAX(sum[n - 1].end, sum[i].end);
                else
                        sum[n++] = sum[i];
        }
        *ret = sum;
        *ret_n = n;
        return 0;
}

int ranges_subtract(const struct worker_range *a, size_t n_a, const struct worker_range *b, size_t n_b,
                    struct worker_range **ret, size_t *ret_n)
{
        struct worker_range *left;
        size_t n = 0, k = 0;

        /* Each range of b can cut one of a in two. */
        left = calloc(MAX(n_a + n_b, (size_t) 1), sizeof(*left));
        if (!left)
                return -ENOMEM;
        for (size_t i = 0; i < n_a; i++) {
                uint64_t from = a[i].start;

                while (k > 0 && b[k - 1].end > from)
                        k--;
                for (; k < n_b && b[k].start < a[i].end; k++) {
                        if (b[k].end <= from)
                                continue;
                        if (b[k].start > from)
                                left[n++] = (struct worker_range) { .start = from, .end = b[k].start };
                        from = b[k].end;
                }
                if (from < a[i].end)
                        left[n++] = (struct worker_range) { .start = from, .end = a[i].end };
        }
        *ret = left;
        *ret_n = n;
        return 0;
}
