/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/quota.h"

#define SEC UINT64_C(1000000)

static struct quotas q;

static void test_fresh(void)
{
        q = (struct quotas) { .rate = &quota_pages };
        g_assert_cmpint(quota_left(&q, 1000, 0), ==, QUOTA_PAGES_MAX);
        g_assert_cmpint(quota_left(&q, 1000, UINT64_MAX), ==, QUOTA_PAGES_MAX);
}

static void test_refill(void)
{
        q = (struct quotas) { .rate = &quota_pages };
        quota_take(&q, 1000, QUOTA_PAGES_MAX, 5 * SEC);
        g_assert_cmpint(quota_left(&q, 1000, 5 * SEC), ==, 0);
        g_assert_cmpint(quota_left(&q, 1000, 4 * SEC), ==, 0);
        g_assert_cmpint(quota_left(&q, 1000, 6 * SEC), ==, QUOTA_PAGES_PER_SEC);
        g_assert_cmpint(quota_left(&q, 1000, 5 * SEC + SEC / 2), ==, QUOTA_PAGES_PER_SEC / 2);
        /* Never more than all. */
        g_assert_cmpint(quota_left(&q, 1000, 5 * SEC + 65 * SEC), ==, QUOTA_PAGES_MAX);
        g_assert_cmpint(quota_left(&q, 1000, UINT64_MAX), ==, QUOTA_PAGES_MAX);
        /* Others have their own. */
        g_assert_cmpint(quota_left(&q, 1001, 5 * SEC), ==, QUOTA_PAGES_MAX);
}

/* Over any time nobody gets more than the store and what it gains. */
static void test_rate(void)
{
        int64_t taken = 0;

        q = (struct quotas) { .rate = &quota_pages };
        for (uint64_t now = 0; now <= 600 * SEC; now += SEC / 7) {
                int64_t left = quota_left(&q, 1000, now);

                if (left >= 1000) {
                        quota_take(&q, 1000, left, now);
                        taken += left;
                }
        }
        g_assert_cmpint(taken, <=, QUOTA_PAGES_MAX + 600 * QUOTA_PAGES_PER_SEC);
        g_assert_cmpint(taken, >, QUOTA_PAGES_MAX + 599 * QUOTA_PAGES_PER_SEC);
}

static void test_debt(void)
{
        q = (struct quotas) { .rate = &quota_pages };
        quota_take(&q, 1000, INT64_C(1) << 40, 0);
        /* Debt has an end. */
        g_assert_cmpint(quota_left(&q, 1000, 128 * SEC), ==, 0);
        g_assert_cmpint(quota_left(&q, 1000, 129 * SEC), ==, QUOTA_PAGES_PER_SEC);
        quota_take(&q, 1000, 1, 129 * SEC);
        g_assert_cmpint(quota_left(&q, 1000, 129 * SEC), ==, QUOTA_PAGES_PER_SEC - 1);
}

/* Whoever takes little things very often gets no less of them. */
static void test_calls(void)
{
        unsigned n = 0;

        q = (struct quotas) { .rate = &quota_calls };
        for (uint64_t now = 0; now < 20 * SEC; now += 7)
                if (quota_left(&q, 1000, now) >= 100) {
                        quota_take(&q, 1000, 100, now);
                        n++;
                }
        g_assert_cmpuint(n, <=, (QUOTA_CALLS_MAX + 20 * QUOTA_CALLS_PER_SEC) / 100);
        g_assert_cmpuint(n, >, (QUOTA_CALLS_MAX + 19 * QUOTA_CALLS_PER_SEC) / 100 / 2);
        quota_take(&q, 1000, INT64_MAX / 2, 20 * SEC);
        g_assert_cmpint(quota_left(&q, 1000, 20 * SEC), ==, -QUOTA_CALLS_MAX);
        g_assert_cmpint(quota_left(&q, 1000, 30 * SEC), ==, 0);
}

/* With more users than there is room for, those who took much are remembered. */
static void test_many(void)
{
        q = (struct quotas) { .rate = &quota_pages };
        quota_take(&q, 7, QUOTA_PAGES_MAX, 0);
        for (uid_t uid = 1000; uid < 1000 + 4 * QUOTA_USERS_MAX; uid++)
                quota_take(&q, uid, 1, 0);
        g_assert_cmpuint(q.n, ==, QUOTA_USERS_MAX);
        g_assert_cmpint(quota_left(&q, 7, 0), ==, 0);
        /* Whoever came last is known too. */
        g_assert_cmpint(quota_left(&q, 1000 + 4 * QUOTA_USERS_MAX - 1, 0), ==, QUOTA_PAGES_MAX - 1);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/quota/fresh", test_fresh);
        g_test_add_func("/quota/refill", test_refill);
        g_test_add_func("/quota/rate", test_rate);
        g_test_add_func("/quota/debt", test_debt);
        g_test_add_func("/quota/calls", test_calls);
        g_test_add_func("/quota/many", test_many);
        return g_test_run();
}
