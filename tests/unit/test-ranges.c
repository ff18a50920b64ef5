/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/registry.h"
#include "shared/macro.h"

/* Against a map with one place for each of the few addresses there are. */
#define PLACES 96

struct model {
        bool has[PLACES];
};

static void draw(struct model *m)
{
        int density = g_test_rand_int_range(0, 11);

        for (size_t i = 0; i < PLACES; i++)
                m->has[i] = g_test_rand_int_range(0, 10) < density;
}

/* The ranges of @m; with @split, neighbours now and then are not joined. */
static size_t to_ranges(const struct model *m, bool split, struct worker_range *ranges)
{
        size_t n = 0;

        for (size_t i = 0; i < PLACES; i++) {
                if (!m->has[i])
                        continue;
                if (n > 0 && ranges[n - 1].end == i && !(split && g_test_rand_bit()))
                        ranges[n - 1].end++;
                else
                        ranges[n++] = (struct worker_range) { .start = i, .end = i + 1 };
        }
        return n;
}

static void check(const struct model *expected, const struct worker_range *ranges, size_t n)
{
        struct model m = {};

        for (size_t i = 0; i < n; i++) {
                g_assert_cmpuint(ranges[i].start, <, ranges[i].end);
                g_assert_cmpuint(ranges[i].end, <=, PLACES);
                if (i > 0)
                        g_assert_cmpuint(ranges[i - 1].end, <=, ranges[i].start);
                for (uint64_t k = ranges[i].start; k < ranges[i].end; k++)
                        m.has[k] = true;
        }
        g_assert_cmpmem(m.has, sizeof(m.has), expected->has, sizeof(expected->has));
}

/* Copies of the exact size, so that AddressSanitizer sees each step too far. */
static struct worker_range *copy(const struct worker_range *ranges, size_t n)
{
        return g_memdup2(ranges, n * sizeof(*ranges));
}

static void test_random(void)
{
        for (unsigned round = 0; round < 20000; round++) {
                struct worker_range drawn_a[PLACES], drawn_b[PLACES], joined[PLACES];
                g_autofree struct worker_range *a = NULL, *b = NULL;
                _cleanup_(freep) struct worker_range *sum = NULL, *left = NULL;
                struct model x, y, both, rest;
                size_t n_a, n_b, n_sum, n_left;
                bool split = g_test_rand_bit();

                draw(&x);
                draw(&y);
                for (size_t i = 0; i < PLACES; i++) {
                        both.has[i] = x.has[i] || y.has[i];
                        rest.has[i] = x.has[i] && !y.has[i];
                }
                n_a = to_ranges(&x, split, drawn_a);
                n_b = to_ranges(&y, split, drawn_b);
                a = copy(drawn_a, n_a);
                b = copy(drawn_b, n_b);

                g_assert_cmpint(ranges_add(a, n_a, b, n_b, &sum, &n_sum), ==, 0);
                check(&both, sum, n_sum);
                /* As few as can be. */
                g_assert_cmpuint(n_sum, ==, to_ranges(&both, false, joined));

                g_assert_cmpint(ranges_subtract(a, n_a, b, n_b, &left, &n_left), ==, 0);
                check(&rest, left, n_left);

                /* The arguments stay. */
                g_assert_cmpmem(a, n_a * sizeof(*a), drawn_a, n_a * sizeof(*a));
                g_assert_cmpmem(b, n_b * sizeof(*b), drawn_b, n_b * sizeof(*b));
        }
}

static void test_ends(void)
{
        static const struct worker_range all = { .start = 0, .end = UINT64_MAX },
                                         low = { .start = 0, .end = 4096 },
                                         high = { .start = UINT64_MAX - 4095, .end = UINT64_MAX };
        struct worker_range *r;
        size_t n;

        g_assert_cmpint(ranges_add(NULL, 0, NULL, 0, &r, &n), ==, 0);
        g_assert_cmpuint(n, ==, 0);
        free(r);
        g_assert_cmpint(ranges_subtract(NULL, 0, &all, 1, &r, &n), ==, 0);
        g_assert_cmpuint(n, ==, 0);
        free(r);
        g_assert_cmpint(ranges_subtract(&all, 1, NULL, 0, &r, &n), ==, 0);
        g_assert_cmpuint(n, ==, 1);
        free(r);

        g_assert_cmpint(ranges_subtract(&all, 1, &low, 1, &r, &n), ==, 0);
        g_assert_cmpuint(n, ==, 1);
        g_assert_cmpuint(r[0].start, ==, 4096);
        g_assert_cmpuint(r[0].end, ==, UINT64_MAX);
        free(r);
        g_assert_cmpint(ranges_subtract(&all, 1, &high, 1, &r, &n), ==, 0);
        g_assert_cmpuint(n, ==, 1);
        g_assert_cmpuint(r[0].end, ==, UINT64_MAX - 4095);
        free(r);
        g_assert_cmpint(ranges_add(&low, 1, &high, 1, &r, &n), ==, 0);
        g_assert_cmpuint(n, ==, 2);
        free(r);
        g_assert_cmpint(ranges_add(&high, 1, &all, 1, &r, &n), ==, 0);
        g_assert_cmpuint(n, ==, 1);
        g_assert_cmpuint(r[0].start, ==, 0);
        g_assert_cmpuint(r[0].end, ==, UINT64_MAX);
        free(r);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ranges/random", test_random);
        g_test_add_func("/ranges/ends", test_ends);
        return g_test_run();
}
