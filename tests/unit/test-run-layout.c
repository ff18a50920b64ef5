/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/layout.h"

#include <glib.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define PAGE 4096U

/* What arch/x86/mm/mmap.c makes of a limit, without randomisation: where libraries begin, from above. */
static uint64_t mmap_base(uint64_t limit)
{
        const uint64_t task_size = UINT64_C(0x7ffffffff000), guard = 256 * PAGE;
        uint64_t gap = limit + guard > limit ? limit + guard : limit;

        gap = CLAMP(gap, 128 * MIB, task_size / 6 * 5);
        return (task_size - gap + PAGE - 1) & ~(uint64_t) (PAGE - 1);
}

static void secret_of(uint64_t pages, uint8_t ret[LAYOUT_SECRET_BYTES])
{
        memset(ret, 0xa5, LAYOUT_SECRET_BYTES);
        for (unsigned i = 0; i < 8; i++)
                ret[i] = (uint8_t) (pages >> (8 * i));
}

static uint64_t limit_of(uint64_t pages, uint64_t soft, uint64_t hard)
{
        struct rlimit old = { soft, hard }, new;
        uint8_t secret[LAYOUT_SECRET_BYTES];

        secret_of(pages, secret);
        g_assert_cmpint(layout_stack(secret, &old, &new), ==, 0);
        g_assert_cmpuint(new.rlim_cur, <=, new.rlim_max);
        g_assert_cmpuint(new.rlim_max, >=, old.rlim_max);
        if (new.rlim_max > old.rlim_max)
                g_assert_cmpuint(new.rlim_max, ==, new.rlim_cur);
        return new.rlim_cur;
}

static void test_places(void)
{
        const uint64_t last = (UINT64_C(1) << LAYOUT_BITS) - 1;

        /* Each secret has a place of its own, a page from the next. */
        for (uint64_t i = 0; i < 1000; i++)
                g_assert_cmpuint(mmap_base(limit_of(i, 8 * MIB, RLIM_INFINITY)) - PAGE, ==,
                                 mmap_base(limit_of(i + 1, 8 * MIB, RLIM_INFINITY)));
        g_assert_cmpuint(mmap_base(limit_of(0, 8 * MIB, RLIM_INFINITY)) -
                         mmap_base(limit_of(last, 8 * MIB, RLIM_INFINITY)), ==, last * PAGE);
        /* What is beyond the bits counts for nothing. */
        g_assert_cmpuint(limit_of(last + 1, 8 * MIB, RLIM_INFINITY), ==,
                         limit_of(0, 8 * MIB, RLIM_INFINITY));
        g_assert_cmpuint(limit_of(UINT64_MAX, 8 * MIB, RLIM_INFINITY), ==,
                         limit_of(last, 8 * MIB, RLIM_INFINITY));
}

static void test_byte_order(void)
{
        uint8_t secret[LAYOUT_SECRET_BYTES] = { 1, 2 };
        const struct rlimit old = { 8 * MIB, RLIM_INFINITY };
        struct rlimit new;

        g_assert_cmpint(layout_stack(secret, &old, &new), ==, 0);
        g_assert_cmpuint(new.rlim_cur, ==, 128 * MIB + 0x201 * PAGE);
        /* The seeds of hashes have no part in it. */
        memset(secret + 8, 0xff, sizeof(secret) - 8);
        g_assert_cmpint(layout_stack(secret, &old, &new), ==, 0);
        g_assert_cmpuint(new.rlim_cur, ==, 128 * MIB + 0x201 * PAGE);
}

static void test_limits(void)
{
        /* The usual ones make no difference, and neither does how they are rounded. */
        for (uint64_t soft = 0; soft <= 128 * MIB; soft += 8 * MIB)
                g_assert_cmpuint(limit_of(77, soft, RLIM_INFINITY), ==, 128 * MIB + 77 * PAGE);
        g_assert_cmpuint(limit_of(77, 8 * MIB + 1, RLIM_INFINITY), ==, 128 * MIB + 77 * PAGE);

        /* Above, the stack can grow as far as it may. */
        g_assert_cmpuint(limit_of(0, 1024 * MIB, RLIM_INFINITY), ==, 1024 * MIB);
        g_assert_cmpuint(limit_of(5, 1024 * MIB + 1, RLIM_INFINITY), ==, 1024 * MIB + 6 * PAGE);
        g_assert_cmpuint(limit_of(0, RLIM_INFINITY, RLIM_INFINITY), ==, LAYOUT_GAP_UNLIMITED);

        /* Whatever the secret, the kernel cuts nothing off. */
        g_assert_cmpuint(limit_of(UINT64_MAX, LAYOUT_GAP_MAX, RLIM_INFINITY) + 256 * PAGE, <,
                         UINT64_C(0x7ffffffff000) / 6 * 5);
}

static void test_hard_limit(void)
{
        struct rlimit old = { 8 * MIB, 16 * MIB }, new;
        uint8_t secret[LAYOUT_SECRET_BYTES];

        secret_of(3, secret);
        g_assert_cmpint(layout_stack(secret, &old, &new), ==, 0);
        g_assert_cmpuint(new.rlim_max, ==, 128 * MIB + 3 * PAGE);
        old.rlim_max = UINT64_C(1) << 45;
        g_assert_cmpint(layout_stack(secret, &old, &new), ==, 0);
        g_assert_cmpuint(new.rlim_max, ==, old.rlim_max);
}

static void test_too_large(void)
{
        const struct rlimit old = { LAYOUT_GAP_MAX + 1, RLIM_INFINITY };
        struct rlimit new = { 1, 2 };
        uint8_t secret[LAYOUT_SECRET_BYTES] = { 0 };

        g_assert_cmpint(layout_stack(secret, &old, &new), ==, -ERANGE);
        g_assert_cmpuint(new.rlim_cur, ==, 1);
        g_assert_cmpuint(new.rlim_max, ==, 2);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/run-layout/places", test_places);
        g_test_add_func("/run-layout/byte-order", test_byte_order);
        g_test_add_func("/run-layout/limits", test_limits);
        g_test_add_func("/run-layout/hard-limit", test_hard_limit);
        g_test_add_func("/run-layout/too-large", test_too_large);
        return g_test_run();
}
