/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layouts that programs were built with stay as they are. */
#include <glib.h>

#include "lib/mmlib.h"

#define SIZE(type, size) g_assert_cmpuint(sizeof(type), ==, size)
#define OFFSET(type, member, offset) g_assert_cmpuint(offsetof(type, member), ==, offset)

static void test_classic(void)
{
        SIZE(MPAGEINFO, 4 * sizeof(long));
        OFFSET(MPAGEINFO, p_addr, sizeof(long));
        OFFSET(MPAGEINFO, count, 2 * sizeof(long));
        OFFSET(MPAGEINFO, hash, 3 * sizeof(long));
        SIZE(MEQUALPAIR, sizeof(long) == 8 ? 40 : 20);
        OFFSET(MEQUALPAIR, sv_addr, sizeof(long));
        OFFSET(MEQUALPAIR, dpid, 2 * sizeof(long));
        OFFSET(MEQUALPAIR, dv_addr, 3 * sizeof(long));
        OFFSET(MEQUALPAIR, status, 4 * sizeof(long));
}

static void test_modern(void)
{
        SIZE(struct mm_stats, 24 * 8);
        OFFSET(struct mm_stats, ksm_mappings, 12 * 8);
        OFFSET(struct mm_area_info, name, 32);
        OFFSET(struct mm_area_info, owner, 32 + sizeof(void *));
        OFFSET(struct mm_area_info, flags, 40 + sizeof(void *));
        SIZE(struct mm_area_info, 64 + sizeof(void *));
        SIZE(struct mm_page_info, 48);
        OFFSET(struct mm_page_info, size, 32);
        OFFSET(struct mm_page_info, status, 44);
        SIZE(struct mm_merge_options, 48);
        OFFSET(struct mm_merge_options, zero_only, 12);
        OFFSET(struct mm_merge_page, address, 8);
        SIZE(struct mm_merge_page, 24);
        SIZE(struct mm_merge_result, 64);
        OFFSET(struct mm_merge_result, refused, 32);
        SIZE(struct mm_group_info, 56);
        OFFSET(struct mm_group_info, zero, 32);
        OFFSET(struct mm_hash, fn, 16);
}

static void test_numbers(void)
{
        g_assert_cmpint(MM_OWNER_ANON, ==, 8);
        g_assert_cmpint(MM_PART_BSS, ==, 4);
        g_assert_cmpint(MM_HASH_FUNCTION, ==, 5);
        g_assert_cmpint(MM_DOMAIN_SYSTEM, ==, 3);
        g_assert_cmpint(MM_HUGE_SPLIT, ==, 2);
        g_assert_cmpint(MM_AREA_INFO_KSM, ==, 4);
        g_assert_cmpint(MM_PAGE_INFO_HUGE, ==, 4);
        g_assert_cmpint(MM_UNMERGE_SINGLE, ==, 2);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/mmlib-layout/classic", test_classic);
        g_test_add_func("/mmlib-layout/modern", test_modern);
        g_test_add_func("/mmlib-layout/numbers", test_numbers);
        return g_test_run();
}
