/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hashes of pages and the keys made of them. */
#include <glib.h>
#include <stdbool.h>

#include "lib/hash.h"

static uint8_t page[MM_PAGE_SIZE];

static void test_known(void)
{
        /* From "xxhsum -H3" of files with these bytes. */
        memset(page, 0, sizeof(page));
        g_assert_cmphex(mm_hash_page(page, 0), ==, UINT64_C(0x93d76fe148c689ba));
        memset(page, 'm', sizeof(page));
        g_assert_cmphex(mm_hash_page(page, 0), ==, UINT64_C(0xd822e84ad862bbd1));
}

static void test_zero(void)
{
        static const uint64_t seeds[] = { 0, 1, UINT64_MAX, UINT64_C(0x123456789abcdef0) };

        memset(page, 0, sizeof(page));
        for (size_t i = 0; i < G_N_ELEMENTS(seeds); i++) {
                g_assert_cmphex(mm_hash_zero(seeds[i]), ==, mm_hash_page(page, seeds[i]));
                for (size_t j = 0; j < i; j++)
                        g_assert_cmphex(mm_hash_zero(seeds[i]), !=, mm_hash_zero(seeds[j]));
        }
}

static void test_every_bit(void)
{
        uint64_t zero = mm_hash_zero(7);

        memset(page, 0, sizeof(page));
        for (size_t bit = 0; bit < MM_PAGE_SIZE * 8; bit++) {
                page[bit / 8] = (uint8_t)(1U << bit % 8);
                g_assert_cmphex(mm_hash_page(page, 7), !=, zero);
                page[bit / 8] = 0;
        }
}

static int compare_uint64(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

/* Small numbers, as uids and inodes are, one kind of them fixed. */
static void check_folds_distinct(bool domains)
{
        enum { N = 100000 };
        g_autofree uint64_t *folds = g_new(uint64_t, N);

        for (uint64_t i = 0; i < N; i++)
                folds[i] = domains ? mm_hash_fold(i, 5) : mm_hash_fold(5, i);
        qsort(folds, N, sizeof(*folds), compare_uint64);
        for (size_t i = 1; i < N; i++)
                g_assert_cmphex(folds[i - 1], !=, folds[i]);
}

static void test_fold(void)
{
        check_folds_distinct(true);
        check_folds_distinct(false);
        /* The one is not taken for the other. */
        g_assert_cmphex(mm_hash_fold(1, 2), !=, mm_hash_fold(2, 1));
        g_assert_cmphex(mm_hash_fold(0, 1), !=, mm_hash_fold(1, 0));
}

static void test_seed(void)
{
        uint64_t a = 0, b = 0;

        g_assert_cmpint(mm_hash_seed(&a), ==, 0);
        g_assert_cmpint(mm_hash_seed(&b), ==, 0);
        g_assert_cmphex(a, !=, b);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/hash/known", test_known);
        g_test_add_func("/hash/zero", test_zero);
        g_test_add_func("/hash/every-bit", test_every_bit);
        g_test_add_func("/hash/fold", test_fold);
        g_test_add_func("/hash/seed", test_seed);
        return g_test_run();
}
