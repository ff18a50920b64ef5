/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bounded region of page records: finding frames, sorting. */
#include <glib.h>
#include <sys/mman.h>

#include "lib/records.h"

static int add(struct mm_records *r, uint64_t key, uint32_t frame, uint64_t page, bool shared)
{
        struct mm_record record = { .key = key, .frame = frame, .page = page };

        return mm_records_add(r, &record, shared);
}

static void test_limits(void)
{
        static const uint64_t sizes[] = { 24, 25, 4096, 10000, 65536, 100001, 1 << 20, 3 << 20 };
        struct mm_records *none = (struct mm_records *)0x10;

        g_assert_cmpint(mm_records_new(0, &none), ==, -EINVAL);
        g_assert_cmpint(mm_records_new(23, &none), ==, -EINVAL);
        g_assert_cmpint(mm_records_new(UINT64_MAX, &none), ==, -EINVAL);
        g_assert_true(none == (struct mm_records *)0x10);

        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
                _cleanup_(mm_records_freep) struct mm_records *r = NULL;
                size_t n = 0;

                g_assert_cmpint(mm_records_new(sizes[i], &r), ==, 0);
                while (add(r, n, (uint32_t)n + 1, n, true) == 0) {
                        n++;
                        g_assert_cmpuint(mm_records_count(r), ==, n);
                        g_assert_cmpuint(n * sizeof(struct mm_record), <=, sizes[i]);
                }
                g_assert_cmpint(add(r, 0, 0, 0, false), ==, -ENOBUFS);
                /* The tables take no more than a fortieth of the whole. */
                g_assert_cmpuint((n + 1) * sizeof(struct mm_record), >=, sizes[i] - sizes[i] / 40);

                for (size_t j = 0; j < n; j++) {
                        g_assert_cmpuint(mm_records_items(r)[j].key, ==, j);
                        g_assert_cmpuint(mm_records_items(r)[j].frame, ==, j + 1);
                        g_assert_cmpuint(mm_records_items(r)[j].page, ==, j);
                }
        }
}

/* What is reserved for so many takes so many, and is not much more. */
static void test_bytes(void)
{
        static const uint64_t numbers[] = { 0, 1, 2, 61, 62, 63, 64, 1000, 4096, 123457 };

        for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
                _cleanup_(mm_records_freep) struct mm_records *r = NULL;
                uint64_t bytes = mm_records_bytes(numbers[i]);

                g_assert_cmpuint(bytes, <=, numbers[i] * sizeof(struct mm_record) * 21 / 20 + 256);
                g_assert_cmpint(mm_records_new(bytes, &r), ==, 0);
                for (uint64_t n = 0; n < numbers[i]; n++)
                        g_assert_cmpint(add(r, n, (uint32_t)n + 1, n, true), ==, 0);
        }
        g_assert_cmpuint(mm_records_bytes(UINT64_C(1) << 33), >, UINT64_C(24) << 33);
}

static void test_fields(void)
{
        _cleanup_(mm_records_freep) struct mm_records *r = NULL;
        struct mm_record record = {
                .key = UINT64_MAX - 1,
                .page = (UINT64_C(1) << 36) - 2,
                .target = MM_TARGETS_MAX - 1,
                .flags = MM_RECORD_ZERO | MM_RECORD_KSM | MM_RECORD_PLANNED,
                .frame = UINT32_MAX,
                .next = 5,
        };
        const struct mm_record *got;

        g_assert_cmpint(mm_records_new(1 << 16, &r), ==, 0);
        g_assert_cmpint(mm_records_add(r, &record, false), ==, 0);
        got = mm_records_items(r);
        g_assert_cmphex(got->key, ==, record.key);
        g_assert_cmphex(got->page, ==, record.page);
        g_assert_cmphex(got->target, ==, record.target);
        g_assert_cmphex(got->flags, ==, record.flags);
        g_assert_cmphex(got->frame, ==, record.frame);
}

static void test_find(void)
{
        _cleanup_(mm_records_freep) struct mm_records *r = NULL;
        const struct mm_record *found;
        uint64_t fold = 99;

        g_assert_cmpint(mm_records_new(1 << 20, &r), ==, 0);
        g_assert_null(mm_records_find_frame(r, 0, &fold));
        g_assert_null(mm_records_find_frame(r, 7, &fold));

        mm_records_set_fold(r, 1000);
        g_assert_cmpint(add(r, 1, 7, 1, false), ==, 0);
        g_assert_null(mm_records_find_frame(r, 7, &fold));
        g_assert_cmpuint(fold, ==, 99);

        g_assert_cmpint(add(r, 2, 7, 2, true), ==, 0);
        mm_records_set_fold(r, 2000);
        g_assert_cmpint(add(r, 3, 7, 3, true), ==, 0);
        g_assert_cmpint(add(r, 4, 8, 4, true), ==, 0);
        found = mm_records_find_frame(r, 7, &fold);
        g_assert_nonnull(found);
        g_assert_cmpuint(found->key, ==, 2);
        g_assert_cmpuint(fold, ==, 1000);
        found = mm_records_find_frame(r, 8, &fold);
        g_assert_nonnull(found);
        g_assert_cmpuint(found->key, ==, 4);
        g_assert_cmpuint(fold, ==, 2000);
        g_assert_null(mm_records_find_frame(r, 9, &fold));

        /* Sorting and clearing forget, and adding begins anew. */
        mm_records_sort(r);
        g_assert_null(mm_records_find_frame(r, 7, &fold));
        g_assert_cmpint(add(r, 5, 7, 5, true), ==, 0);
        g_assert_cmpuint(mm_records_find_frame(r, 7, &fold)->key, ==, 5);
        mm_records_sort_by_place(r);
        g_assert_null(mm_records_find_frame(r, 7, &fold));
        g_assert_cmpint(add(r, 6, 7, 6, true), ==, 0);
        mm_records_clear(r);
        g_assert_cmpuint(mm_records_count(r), ==, 0);
        g_assert_null(mm_records_find_frame(r, 7, &fold));
        g_assert_cmpint(add(r, 7, 7, 7, true), ==, 0);
        g_assert_cmpuint(mm_records_find_frame(r, 7, &fold)->key, ==, 7);
}

/* Frames @step apart, several times the number of chains, among others that are not shared. */
static void check_find_many(uint32_t step)
{
        enum { N = 200000 };
        _cleanup_(mm_records_freep) struct mm_records *r = NULL;
        uint64_t fold;

        g_assert_cmpint(mm_records_new(16 << 20, &r), ==, 0);
        for (uint32_t i = 0; i < N; i++) {
                mm_records_set_fold(r, i / 1000);
                g_assert_cmpint(add(r, i, i * step, i, true), ==, 0);
                g_assert_cmpint(add(r, 0, i * step + 1, i, false), ==, 0);
        }
        for (uint32_t i = 0; i < N; i++) {
                const struct mm_record *found = mm_records_find_frame(r, i * step, &fold);

                g_assert_nonnull(found);
                g_assert_cmpuint(found->key, ==, i);
                g_assert_cmpuint(fold, ==, i / 1000);
                g_assert_null(mm_records_find_frame(r, i * step + 1, &fold));
        }
}

static void test_find_many(void)
{
        check_find_many(2);
        check_find_many(1024);
        check_find_many(20011);
}

/* A fold for each record is more than there is room for: what is found has the right one. */
static void test_folds_full(void)
{
        enum { N = 2000 };
        _cleanup_(mm_records_freep) struct mm_records *r = NULL;
        size_t n_found = 0;
        uint64_t fold;

        g_assert_cmpint(mm_records_new(1 << 16, &r), ==, 0);
        for (uint32_t i = 0; i < N; i++) {
                mm_records_set_fold(r, i);
                g_assert_cmpint(add(r, i, i + 1, i, true), ==, 0);
        }
        for (uint32_t i = 0; i < N; i++) {
                const struct mm_record *found = mm_records_find_frame(r, i + 1, &fold);

                if (!found)
                        continue;
                g_assert_cmpuint(found->key, ==, i);
                g_assert_cmpuint(fold, ==, i);
                n_found++;
        }
        g_assert_cmpuint(n_found, ==, (1 << 16) / 2048);
}

static size_t count_resident(struct mm_records *r, size_t size)
{
        g_autofree unsigned char *pages = g_new(unsigned char, size / 4096);
        size_t n = 0;

        g_assert_cmpint(mincore(mm_records_items(r), size, pages), ==, 0);
        for (size_t i = 0; i < size / 4096; i++)
                n += pages[i] & 1;
        return n;
}

/* Memory is taken as it is needed, 24 bytes for a page, and given back. */
static void test_memory(void)
{
        enum { SIZE = 8 << 20, N = 40960 };
        _cleanup_(mm_records_freep) struct mm_records *r = NULL;

        g_assert_cmpint(mm_records_new(SIZE, &r), ==, 0);
        g_assert_cmpuint(count_resident(r, SIZE), ==, 0);
        for (uint32_t i = 0; i < N; i++)
                g_assert_cmpint(add(r, i, i, i, false), ==, 0);
        g_assert_cmpuint(count_resident(r, SIZE), ==, N * 24 / 4096);
        mm_records_sort(r);
        g_assert_cmpuint(count_resident(r, SIZE), ==, N * 24 / 4096);
        mm_records_clear(r);
        g_assert_cmpuint(count_resident(r, SIZE), ==, 0);
}

static int compare_place(const void *a, const void *b)
{
        const struct mm_record *x = a, *y = b;

        if (x->target != y->target)
                return x->target < y->target ? -1 : 1;
        return (x->page > y->page) - (x->page < y->page);
}

static int compare_key(const void *a, const void *b)
{
        const struct mm_record *x = a, *y = b;

        if (x->key != y->key)
                return x->key < y->key ? -1 : 1;
        if (x->frame != y->frame)
                return x->frame < y->frame ? -1 : 1;
        return compare_place(a, b);
}

/* Bits of a random number that the fields are made of: few bits make many equal fields. */
struct shape {
        uint64_t key_mask;
        uint32_t frame_mask;
        uint64_t page_mask;
        uint32_t target_mask;
};

static const struct shape shapes[] = {
        { UINT64_MAX, UINT32_MAX, UINT64_MAX, UINT32_MAX },
        { 0, UINT32_MAX, UINT64_MAX, UINT32_MAX },
        { 0, 0, UINT64_MAX, UINT32_MAX },
        { 0, 0, UINT64_MAX, 0 },
        { 0, 0, 0, UINT32_MAX },
        { 7, 3, UINT64_MAX, 1 },
        { UINT64_C(0xff00000000000000), UINT32_C(0xff000000), UINT64_C(0xf00000000), 0xf0000 },
        { UINT64_C(0x0000000100000001), 1, UINT64_MAX, 0 },
};

static void check_sort(const struct shape *shape, size_t n)
{
        _cleanup_(mm_records_freep) struct mm_records *r = NULL;
        g_autofree struct mm_record *expected = g_new(struct mm_record, n + 1);
        g_autoptr(GRand) random = g_rand_new_with_seed(4711);

        g_assert_cmpint(mm_records_new(4 << 20, &r), ==, 0);
        for (size_t i = 0; i < n; i++) {
                struct mm_record record = {
                        .key = ((uint64_t)g_rand_int(random) << 32 | g_rand_int(random)) & shape->key_mask,
                        .frame = g_rand_int(random) & shape->frame_mask,
                        .page = ((uint64_t)g_rand_int(random) << 32 | g_rand_int(random)) & shape->page_mask,
                        .target = g_rand_int(random) & shape->target_mask,
                        .next = MM_NO_RECORD,
                };

                expected[i] = record;
                g_assert_cmpint(mm_records_add(r, &record, false), ==, 0);
        }

        qsort(expected, n, sizeof(*expected), compare_key);
        mm_records_sort(r);
        for (size_t i = 0; i < n; i++)
                g_assert_cmpint(compare_key(&expected[i], &mm_records_items(r)[i]), ==, 0);

        /* From another order now. What has one place may have several keys. */
        qsort(expected, n, sizeof(*expected), compare_place);
        mm_records_sort_by_place(r);
        for (size_t i = 0; i < n; i++)
                g_assert_cmpint(compare_place(&expected[i], &mm_records_items(r)[i]), ==, 0);

        /* Nothing was lost on the way. */
        mm_records_sort(r);
        qsort(expected, n, sizeof(*expected), compare_key);
        for (size_t i = 0; i < n; i++)
                g_assert_cmpint(compare_key(&expected[i], &mm_records_items(r)[i]), ==, 0);
}

static void test_sort(void)
{
        static const size_t sizes[] = { 0, 1, 2, 3, 23, 24, 25, 26, 100, 257, 1000, 30000 };

        for (size_t i = 0; i < G_N_ELEMENTS(shapes); i++)
                for (size_t j = 0; j < G_N_ELEMENTS(sizes); j++)
                        check_sort(&shapes[i], sizes[j]);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/records/limits", test_limits);
        g_test_add_func("/records/bytes", test_bytes);
        g_test_add_func("/records/fields", test_fields);
        g_test_add_func("/records/find", test_find);
        g_test_add_func("/records/find-many", test_find_many);
        g_test_add_func("/records/folds-full", test_folds_full);
        g_test_add_func("/records/memory", test_memory);
        g_test_add_func("/records/sort", test_sort);
        return g_test_run();
}
