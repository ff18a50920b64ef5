/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames that a process shares, found again by number, and runs of them. */
#include <glib.h>

#include "lib/hash.h"
#include "lib/sharing.h"

#define PAGE ((uint64_t) MM_PAGE_SIZE)

static struct mm_seen seen(uint64_t page, uint64_t frame, uint64_t count, enum mm_page_kind kind)
{
        return (struct mm_seen) {
                .page = { page * PAGE, frame, MM_PAGE_PRESENT }, .count = count, .kind = kind
        };
}

static void test_find(void)
{
        _cleanup_(mm_sharing_done) struct mm_sharing s = {};
        const struct mm_seen pages[] = {
                seen(1, 500, 2, MM_PAGE_IS_ANON), seen(2, 400, 1, MM_PAGE_IS_ANON),
                seen(3, 300, 9, MM_PAGE_IS_FILE), seen(4, 0, 0, MM_PAGE_IS_SWAPPED),
                seen(5, 200, 7, MM_PAGE_IS_ZERO), seen(6, 100, 3, MM_PAGE_IS_KSM),
                seen(7, 100, 3, MM_PAGE_IS_KSM),  seen(8, 150, 2, MM_PAGE_IS_DIRECT),
                seen(9, 160, 2, MM_PAGE_IS_HUGETLB), seen(10, 170, 2, MM_PAGE_IS_NOTHING),
        };
        uint64_t address = 0;
        enum mm_page_kind kind = 0;

        mm_sharing_sort(&s);
        g_assert_false(mm_sharing_find(&s, 100, &address, &kind));
        g_assert_cmpint(mm_sharing_add(&s, pages, 4), ==, 0);
        g_assert_cmpint(mm_sharing_add(&s, pages + 4, G_N_ELEMENTS(pages) - 4), ==, 0);
        g_assert_cmpuint(s.n, ==, 6);
        mm_sharing_sort(&s);

        g_assert_true(mm_sharing_find(&s, 500, &address, &kind));
        g_assert_cmphex(address, ==, PAGE);
        g_assert_cmpint(kind, ==, MM_PAGE_IS_ANON);
        /* The first of two. */
        g_assert_true(mm_sharing_find(&s, 100, &address, &kind));
        g_assert_cmphex(address, ==, 6 * PAGE);
        g_assert_cmpint(kind, ==, MM_PAGE_IS_KSM);
        g_assert_true(mm_sharing_find(&s, 160, &address, &kind));
        g_assert_false(mm_sharing_find(&s, 400, &address, &kind));
        g_assert_false(mm_sharing_find(&s, 200, &address, &kind));
        g_assert_false(mm_sharing_find(&s, 0, &address, &kind));
        g_assert_false(mm_sharing_find(&s, 501, &address, &kind));
}

static void test_full(void)
{
        _cleanup_(mm_sharing_done) struct mm_sharing s = {};
        struct mm_seen pages[MM_PAGES_CHUNK];
        uint64_t address;
        enum mm_page_kind kind;

        for (size_t n = 0; n < MM_SHARING_MAX; n += MM_PAGES_CHUNK) {
                for (size_t i = 0; i < MM_PAGES_CHUNK; i++)
                        pages[i] = seen(n + i, MM_SHARING_MAX - (n + i), 2, MM_PAGE_IS_FILE);
                g_assert_cmpint(mm_sharing_add(&s, pages, MM_PAGES_CHUNK), ==, 0);
        }
        g_assert_cmpint(mm_sharing_add(&s, pages, 1), ==, -ENOBUFS);
        g_assert_cmpuint(s.n, ==, MM_SHARING_MAX);
        /* Nothing to add needs no room. */
        pages[0].count = 1;
        g_assert_cmpint(mm_sharing_add(&s, pages, 1), ==, 0);
        mm_sharing_sort(&s);
        for (uint64_t frame = 1; frame <= MM_SHARING_MAX; frame += 12345) {
                g_assert_true(mm_sharing_find(&s, frame, &address, &kind));
                g_assert_cmphex(address, ==, (MM_SHARING_MAX - frame) * PAGE);
        }
}

static void test_runs(void)
{
        struct mm_shared_run run = {};

        g_assert_false(mm_shared_run_join(&run, 0, 0, 0, MM_PAGE_IS_FILE));
        run = (struct mm_shared_run) { PAGE, 7 * PAGE, 1, 100, MM_PAGE_IS_FILE };
        g_assert_true(mm_shared_run_join(&run, 2 * PAGE, 8 * PAGE, 101, MM_PAGE_IS_FILE));
        g_assert_cmpuint(run.n_pages, ==, 2);
        g_assert_false(mm_shared_run_join(&run, 4 * PAGE, 9 * PAGE, 102, MM_PAGE_IS_FILE));
        g_assert_false(mm_shared_run_join(&run, 3 * PAGE, 8 * PAGE, 102, MM_PAGE_IS_FILE));
        g_assert_false(mm_shared_run_join(&run, 3 * PAGE, 9 * PAGE, 103, MM_PAGE_IS_FILE));
        g_assert_false(mm_shared_run_join(&run, 3 * PAGE, 9 * PAGE, 102, MM_PAGE_IS_ANON));
        g_assert_true(mm_shared_run_join(&run, 3 * PAGE, 9 * PAGE, 102, MM_PAGE_IS_FILE));
        g_assert_cmpuint(run.n_pages, ==, 3);
        g_assert_cmphex(run.here, ==, PAGE);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/sharing/find", test_find);
        g_test_add_func("/sharing/full", test_full);
        g_test_add_func("/sharing/runs", test_runs);
        return g_test_run();
}
