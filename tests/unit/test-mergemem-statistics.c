/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mergemem/statistics.h"

#include <glib.h>

#include "lib/owner.h"
#include "shared/macro.h"

/* The figures of a round as mergemem prints them. */

static char *print(const struct report *r, bool stacks, bool merge)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        statistics_print(f, r, stacks, merge);
        fclose(f);
        return text;
}

static void expect(const struct report *r, bool stacks, bool merge, const char *expected)
{
        char *text = print(r, stacks, merge);

        g_assert_cmpstr(text, ==, expected);
        free(text);
}

static void test_nothing(void)
{
        struct report r = {};

        expect(&r, false, false,
               "Processes:         0\n"
               "Pages looked at:   0 (0 B)\n"
               "Duplicates:        0 (0 B), zeros: 0\n"
               "Frames read:       0\n"
               "Shared already:    0\n"
               "Swapped out:       0\n"
               "Time:              0us\n");
}

static void add_owner(struct report *r, enum mm_owner_kind kind, uint64_t n_pages, uint64_t n_duplicates,
                      uint64_t n_zero)
{
        const struct worker_owner row = {
                .kind = kind, .n_pages = n_pages, .n_duplicates = n_duplicates, .n_zero = n_zero
        };

        g_assert_cmpint(report_add_owner(r, &row, "x", true), ==, 0);
}

/* What was found on stacks is in none of the other figures. */
static void test_stacks(void)
{
        struct report r = {
                .n_processes = 2,
                .n_pages = 1000,
                .n_duplicates = 512,
                .n_zero = 100,
                .n_read = 900,
        };

        add_owner(&r, MM_OWNER_STACK, 30, 6, 3);
        add_owner(&r, MM_OWNER_THREAD_STACK, 14, 6, 2);
        add_owner(&r, MM_OWNER_HEAP, 956, 500, 95);
        expect(&r, true, false,
               "Processes:         2\n"
               "Pages looked at:   956 (3.7 MiB)\n"
               "Duplicates:        500 (2.0 MiB), zeros: 95\n"
               "On stacks:         44, duplicates: 12, zeros: 5\n"
               "Frames read:       900\n"
               "Shared already:    0\n"
               "Swapped out:       0\n"
               "Time:              0us\n");
        /* Figures that do not fit do not run over. */
        r.n_pages = r.n_duplicates = 10;
        r.n_zero = 0;
        expect(&r, true, false,
               "Processes:         2\n"
               "Pages looked at:   0 (0 B)\n"
               "Duplicates:        0 (0 B), zeros: 0\n"
               "On stacks:         44, duplicates: 12, zeros: 5\n"
               "Frames read:       900\n"
               "Shared already:    0\n"
               "Swapped out:       0\n"
               "Time:              0us\n");
        report_done(&r);
}

static void test_merged(void)
{
        struct report r = {
                .n_processes = 3,
                .n_pages = 4096,
                .n_duplicates = 2000,
                .n_zero = 7,
                .n_huge = 512,
                .n_read = 4000,
                .n_ksm = 12,
                .n_swapped = 13,
                .duration_usec = 345678,
                .mechanism = "direct",
                .n_merged = 1900,
                .n_saved = 1024,
                .stop_usec = 2100,
        };

        g_assert_cmpint(report_count(&r.excluded, "not dumpable", 1), ==, 0);
        g_assert_cmpint(report_count(&r.skipped, "access refused", 2), ==, 0);
        g_assert_cmpint(report_count(&r.refused, "another trust domain", 90), ==, 0);
        g_assert_cmpint(report_count(&r.refused, "page gone meanwhile", 10), ==, 0);
        expect(&r, false, true,
               "Processes:         3\n"
               "Left out:          1 (not dumpable)\n"
               "Skipped:           2 (access refused)\n"
               "Pages looked at:   4096 (16.0 MiB)\n"
               "Duplicates:        2000 (7.8 MiB), zeros: 7\n"
               "In huge pages:     512 (2.0 MiB), besides\n"
               "Frames read:       4000\n"
               "Shared already:    12\n"
               "Swapped out:       13\n"
               "Merged:            1900 by direct\n"
               "Frames freed:      1024 (4.0 MiB)\n"
               "Refused:           90 (another trust domain)\n"
               "Refused:           10 (page gone meanwhile)\n"
               "Longest stop:      2ms\n"
               "Time:              345ms\n");
        report_done(&r);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/mergemem/statistics/nothing", test_nothing);
        g_test_add_func("/mergemem/statistics/stacks", test_stacks);
        g_test_add_func("/mergemem/statistics/merged", test_merged);
        return g_test_run();
}
