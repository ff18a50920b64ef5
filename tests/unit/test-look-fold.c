/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Huge pages from their parts. */
#include <glib.h>

#include "lib/hash-kind.h"
#include "lib/look.h"

#define AT UINT64_C(0x40000000)
#define FRAME UINT64_C(0x8000)
#define N (2 * MM_HUGE_PARTS)

/* Two huge pages, one after the other. */
static void fill(struct mm_page_info *pages)
{
        for (size_t i = 0; i < N; i++)
                pages[i] = (struct mm_page_info) {
                        .address = AT + i * MM_PAGE_SIZE,
                        .frame = FRAME + i,
                        .hash = i + 1,
                        .count = 1,
                        .size = MM_PAGE_SIZE,
                        .flags = MM_PAGE_INFO_HUGE,
                };
}

static size_t fold(struct mm_page_info *pages, size_t n, bool more, size_t expected_used)
{
        const struct mm_hash hash = { .kind = MM_HASH_XXH64, .seed = 3 };
        size_t n_used = 0, n_out;

        n_out = mm_look_fold(&hash, pages, n, more, &n_used);
        g_assert_cmpuint(n_used, ==, expected_used);
        return n_out;
}

static void test_whole(void)
{
        struct mm_page_info pages[N];
        uint64_t parts[MM_HUGE_PARTS];

        fill(pages);
        g_assert_cmpuint(fold(pages, N, false, N), ==, 2);
        for (size_t i = 0; i < 2; i++) {
                for (size_t k = 0; k < MM_HUGE_PARTS; k++)
                        parts[k] = i * MM_HUGE_PARTS + k + 1;
                g_assert_cmpuint(pages[i].address, ==, AT + i * MM_HUGE_BYTES);
                g_assert_cmpuint(pages[i].frame, ==, FRAME + i * MM_HUGE_PARTS);
                g_assert_cmpuint(pages[i].size, ==, MM_HUGE_BYTES);
                g_assert_cmpuint(pages[i].flags, ==, MM_PAGE_INFO_HUGE);
                g_assert_cmpuint(pages[i].hash, ==,
                                 mm_hash_kind_join(MM_HASH_XXH64, 3, parts, MM_HUGE_PARTS));
        }
        g_assert_cmpuint(pages[0].hash, !=, pages[1].hash);
}

/* One part that is not like the others, and none of them is. */
static void test_broken(void)
{
        for (size_t how = 0; how < 4; how++) {
                struct mm_page_info pages[N];

                fill(pages);
                switch (how) {
                case 0:
                        pages[100].flags = 0;
                        break;
                case 1:
                        pages[100].frame += MM_HUGE_PARTS;
                        break;
                case 2:
                        for (size_t i = 0; i < MM_HUGE_PARTS; i++)
                                pages[i].frame++;
                        break;
                default:
                        pages[511].address -= 510 * MM_PAGE_SIZE;
                        break;
                }
                g_assert_cmpuint(fold(pages, N, false, N), ==, MM_HUGE_PARTS + 1);
                for (size_t i = 0; i < MM_HUGE_PARTS; i++) {
                        g_assert_cmpuint(pages[i].size, ==, MM_PAGE_SIZE);
                        g_assert_cmpuint(pages[i].flags, ==, 0);
                        g_assert_cmpuint(pages[i].hash, ==, i + 1);
                }
                g_assert_cmpuint(pages[MM_HUGE_PARTS].size, ==, MM_HUGE_BYTES);
        }
}

/* What may become whole is left for later, if there is something before it. */
static void test_more(void)
{
        struct mm_page_info pages[N];

        fill(pages);
        g_assert_cmpuint(fold(pages, MM_HUGE_PARTS + 7, true, MM_HUGE_PARTS), ==, 1);
        fill(pages);
        g_assert_cmpuint(fold(pages, MM_HUGE_PARTS + 7, false, MM_HUGE_PARTS + 7), ==, 8);
        fill(pages);
        g_assert_cmpuint(fold(pages, 7, true, 7), ==, 7);
        fill(pages);
        g_assert_cmpuint(fold(pages, 0, true, 0), ==, 0);
        /* The middle of one is not its start. */
        fill(pages);
        g_assert_cmpuint(fold(pages + 5, MM_HUGE_PARTS - 5, true, MM_HUGE_PARTS - 5), ==, MM_HUGE_PARTS - 5);
}

static void test_hashes(void)
{
        static const enum mm_hash_kind kinds[] = { MM_HASH_NONE, MM_HASH_FUNCTION, MM_HASH_CONST };
        struct mm_page_info pages[N];

        for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
                const struct mm_hash hash = { .kind = kinds[i], .seed = 9 };
                size_t n_used;

                fill(pages);
                g_assert_cmpuint(mm_look_fold(&hash, pages, N, false, &n_used), ==, 2);
                g_assert_cmpuint(pages[0].hash, ==, kinds[i] == MM_HASH_CONST ? 9 : 0);
        }
        fill(pages);
        g_assert_cmpuint(mm_look_fold(NULL, pages, N, false, &(size_t) { 0 }), ==, 2);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/look-fold/whole", test_whole);
        g_test_add_func("/look-fold/broken", test_broken);
        g_test_add_func("/look-fold/more", test_more);
        g_test_add_func("/look-fold/hashes", test_hashes);
        return g_test_run();
}
