/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/budget.h"
#include "shared/macro.h"

#define SEC (1000ULL * 1000U)

static void expect(const struct budget *b, uint64_t now, unsigned quota, uint64_t start, uint64_t slice)
{
        uint64_t s = 0;

        g_assert_cmpuint(budget_next(b, now, quota, 0, &s), ==, start);
        g_assert_cmpuint(s, ==, slice);
}

static void test_fresh(void)
{
        struct budget b = {};

        expect(&b, 0, 5, 0, BUDGET_SLICE_MAX_USEC);
        expect(&b, 123456789, 5, 123456789, BUDGET_SLICE_MAX_USEC);
        /* A clock that has run for long before the first charge. */
        budget_charge(&b, 1000000 * SEC, 10);
        g_assert_cmpuint(b.sum_usec, ==, 10);
}

static void test_table(void)
{
        static const struct {
                unsigned quota;
                uint64_t spent_usec, now_sec, start_sec, slice_usec;
        } cases[] = {
                /* 5 % of a minute are 3 s. All of it was spent in second 10. */
                { 5, 2899999, 10, 10, 100000 },
                { 5, 2900001, 10, 10, 99999 },
                { 5, 2994999, 10, 10, 5001 },
                { 5, 2995001, 10, 71, 100000 }, /* less than is worth to begin for */
                { 5, 3000000, 10, 71, 100000 },
                { 5, 9000000, 10, 71, 100000 },
                { 5, 9000000, 70, 71, 100000 }, /* the minute from 10.5 is not over at 70.4 */
                { 5, 9000000, 71, 71, 100000 },
                { 1, 0, 10, 10, 100000 },
                { 1, 600000, 10, 71, 100000 },
                { 100, 59000000, 10, 10, 100000 },
                { 6400, 3000000000, 10, 10, 100000 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                struct budget b = {};

                g_test_message("case %zu", i);
                budget_charge(&b, 10 * SEC, cases[i].spent_usec);
                expect(&b, cases[i].now_sec * SEC, cases[i].quota, cases[i].start_sec * SEC,
                       cases[i].slice_usec);
        }
}

/* What is freed second by second. */
static void test_expires(void)
{
        struct budget b = {};

        for (uint64_t s = 0; s < 60; s++)
                budget_charge(&b, s * SEC, 50000);
        g_assert_cmpuint(b.sum_usec, ==, 3000000);
        expect(&b, 59 * SEC, 5, 61 * SEC, 50000);
        expect(&b, 62 * SEC + 7, 5, 62 * SEC + 7, 100000);
        budget_charge(&b, 62 * SEC, 0);
        g_assert_cmpuint(b.sum_usec, ==, 2900000);
        budget_charge(&b, 1000 * SEC, 0);
        g_assert_cmpuint(b.sum_usec, ==, 0);
}

/* What cannot be sliced waits for all of it, but not for more than there ever is. */
static void test_least(void)
{
        static const struct {
                uint64_t least_usec, start_sec, slice_usec;
        } cases[] = {
                { 500000, 10, 500000 },
                { 1000000, 10, 1000000 },
                { 1000001, 71, 1000001 },
                { 3000000, 71, 3000000 },
                { 9000000, 71, 3000000 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                struct budget b = {};
                uint64_t slice = 0;

                budget_charge(&b, 10 * SEC, 2000000);
                g_assert_cmpuint(budget_next(&b, 10 * SEC, 5, cases[i].least_usec, &slice), ==,
                                 cases[i].start_sec * SEC);
                g_assert_cmpuint(slice, ==, cases[i].slice_usec);
        }
}

static void test_backwards(void)
{
        struct budget b = {};

        budget_charge(&b, 100 * SEC, 3000000);
        budget_charge(&b, 50 * SEC, 1);
        g_assert_cmpuint(b.sum_usec, ==, 3000001);
        g_assert_cmpuint(b.last, ==, 100);
}

/* Work without end, that never stops quite in time: no minute has more than its share, and the share is
 * used. */
static void test_greedy(void)
{
        static const unsigned quotas[] = { 1, 5, 30, 100, 250 };
        const uint64_t end = 1800 * SEC;

        for (size_t q = 0; q < G_N_ELEMENTS(quotas); q++) {
                g_autoptr(GArray) ends = g_array_new(FALSE, FALSE, sizeof(uint64_t));
                g_autoptr(GArray) amounts = g_array_new(FALSE, FALSE, sizeof(uint64_t));
                uint64_t allowed = quotas[q] * SEC * 60U / 100U, now = 777 * SEC + 13, begun = now;
                uint64_t total = 0, in_minute = 0;
                struct budget b = {};
                size_t oldest = 0;

                for (unsigned n = 0; now < begun + end; n++) {
                        uint64_t slice = 0, spent, start;

                        start = budget_next(&b, now, quotas[q], 0, &slice);
                        g_assert_cmpuint(start, >=, now);
                        g_assert_cmpuint(slice, >, 0);
                        g_assert_cmpuint(slice, <=, BUDGET_SLICE_MAX_USEC);
                        spent = slice + n % 7U * 300U;
                        /* Several cores for quotas above one. */
                        now = start + spent * 100U / MAX(quotas[q], 100U) + 1U;
                        budget_charge(&b, now, spent);
                        g_array_append_val(ends, now);
                        g_array_append_val(amounts, spent);
                        total += spent;
                        in_minute += spent;
                        while (g_array_index(ends, uint64_t, oldest) + 60U * SEC <= now)
                                in_minute -= g_array_index(amounts, uint64_t, oldest++);
                        g_assert_cmpuint(in_minute, <=, allowed + allowed / 20U);
                }
                g_assert_cmpuint(total, >=, (allowed - allowed / 20U) * (end / (61U * SEC)));
        }
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/budget/fresh", test_fresh);
        g_test_add_func("/budget/table", test_table);
        g_test_add_func("/budget/expires", test_expires);
        g_test_add_func("/budget/least", test_least);
        g_test_add_func("/budget/backwards", test_backwards);
        g_test_add_func("/budget/greedy", test_greedy);
        return g_test_run();
}
