/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/totals.h"

#define MIB UINT64_C(1048576)

static void test_round(void)
{
        struct totals t = {
                .saved_bytes = MIB / 2 - 1,
                .saved_gross_bytes = MIB / 2,
                .metadata_bytes = 7 * MIB + 1,
                .shared_frames = 127,
                .merged_pages = 128,
                .registered_processes = 3,
                .scanned_pages = 256,
                .merged_pages_total = UINT64_MAX,
                .cpu_nsec = 1499999999,
                .ksmd_cpu_nsec = 1500000000,
                .last_scan_usec = UINT64_C(1750000000000000),
        };

        totals_round(&t);
        g_assert_cmpuint(t.saved_bytes, ==, 0);
        g_assert_cmpuint(t.saved_gross_bytes, ==, MIB);
        g_assert_cmpuint(t.metadata_bytes, ==, 7 * MIB);
        g_assert_cmpuint(t.shared_frames, ==, 0);
        g_assert_cmpuint(t.merged_pages, ==, 256);
        g_assert_cmpuint(t.registered_processes, ==, 3);
        g_assert_cmpuint(t.scanned_pages, ==, 256);
        g_assert_cmpuint(t.merged_pages_total % 256, ==, 0);
        g_assert_cmpuint(t.merged_pages_total, >, UINT64_MAX / 2);
        g_assert_cmpuint(t.cpu_nsec, ==, 1000000000);
        g_assert_cmpuint(t.ksmd_cpu_nsec, ==, 2000000000);
        g_assert_cmpuint(t.last_scan_usec, ==, UINT64_C(1750000020000000));
}

static void test_figure(void)
{
        struct totals t = { .saved_bytes = 1, .registered_processes = 2, .last_scan_usec = 3 };

        g_assert_cmpuint(totals_figure(&t, "SavedBytes"), ==, 1);
        g_assert_cmpuint(totals_figure(&t, "RegisteredProcesses"), ==, 2);
        g_assert_cmpuint(totals_figure(&t, "LastScanUSec"), ==, 3);
        g_assert_cmpuint(totals_figure(&t, "Nothing"), ==, 0);
}

static void test_compare(void)
{
        struct totals a = {}, b = {};
        const char *names[TOTALS_MAX];

        totals_compare(&a, &b, names);
        g_assert_null(names[0]);
        /* These change all the time, and are not worth a signal. */
        b.cpu_nsec = b.scanned_pages = 1;
        totals_compare(&a, &b, names);
        g_assert_null(names[0]);
        b.metadata_bytes = b.last_scan_usec = 1;
        totals_compare(&a, &b, names);
        g_assert_cmpstr(names[0], ==, "MetadataBytes");
        g_assert_cmpstr(names[1], ==, "LastScanUSec");
        g_assert_null(names[2]);
        /* All at once still have room. */
        memset(&b, 1, sizeof(b));
        totals_compare(&a, &b, names);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/totals/round", test_round);
        g_test_add_func("/totals/figure", test_figure);
        g_test_add_func("/totals/compare", test_compare);
        return g_test_run();
}
