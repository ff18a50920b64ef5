/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <glib.h>

#include "lib/load.h"

/* The arithmetic of loads, on layouts that linkers make and on some that none does. */

#define BIAS UINT64_C(0x7f0000000000)

/* As GNU ld does: each segment begins in the page of the file in which the one before ends. */
static const struct mm_elf packed = {
        .n_segments = 4,
        .segments = { { 0x0000, 0x0000, 0x1800, 0x1800, PF_R },
                      { 0x2800, 0x1800, 0x1000, 0x1000, PF_R | PF_X },
                      { 0x4800, 0x2800, 0x1000, 0x1000, PF_R },
                      { 0x6800, 0x3800, 0x1000, 0x4000, PF_R | PF_W } },
        .relro_vaddr = 0x6800,
        .relro_memsz = 0x800,
};

/* File and memory run in parallel, with a gap; RELRO in the middle of its segment. */
static const struct mm_elf parallel = {
        .n_segments = 2,
        .segments = { { 0x0000, 0x0000, 0x1000, 0x1000, PF_R | PF_X },
                      { 0x2000, 0x2000, 0x4000, 0x4000, PF_R | PF_W } },
        .relro_vaddr = 0x3000,
        .relro_memsz = 0x1000,
};

/* .bss in segments of its own, one of which begins within a page; one that is not writable. */
static const struct mm_elf separate = {
        .n_segments = 4,
        .segments = { { 0x0000, 0x0000, 0x1000, 0x1000, PF_R | PF_X },
                      { 0x3010, 0x0000, 0x0000, 0x1000, PF_R | PF_W },
                      { 0x6000, 0x1000, 0x1000, 0x3000, PF_R },
                      { 0xa000, 0x2000, 0x1000, 0x2001, PF_R | PF_W } },
};

static struct mm_area area_at(uint64_t vaddr, uint64_t size, uint64_t offset, int flags)
{
        return (struct mm_area){
                .start = BIAS + vaddr,
                .end = BIAS + vaddr + size,
                .offset = offset,
                .flags = (uint8_t)flags,
                .kind = MM_AREA_FILE,
        };
}

static void test_find(void)
{
        static const struct {
                uint64_t vaddr, offset;
                int flags;
        } cases[] = {
                { 0x0000, 0x0000, MM_AREA_READ },
                { 0x3000, 0x2000, MM_AREA_READ | MM_AREA_EXEC },
                { 0x7000, 0x4000, MM_AREA_READ | MM_AREA_WRITE },
                /* A page of two segments, told by what may be executed and what may be written. */
                { 0x1000, 0x1000, MM_AREA_READ },
                { 0x2000, 0x1000, MM_AREA_READ | MM_AREA_EXEC },
                { 0x5000, 0x3000, MM_AREA_READ },
                { 0x6000, 0x3000, MM_AREA_READ | MM_AREA_WRITE },
        };
        struct mm_load l = {};
        struct mm_area area;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                area = area_at(cases[i].vaddr, 0x1000, cases[i].offset, cases[i].flags);
                g_assert_true(mm_load_find(&packed, &area, &l));
                g_assert_true(l.elf == &packed);
                g_assert_cmphex(l.bias, ==, BIAS);
        }

        area = area_at(0, 0x1000, 0x5000, MM_AREA_READ);
        g_assert_false(mm_load_find(&packed, &area, &l));
        area = area_at(0, 0x1000, 0x1000, MM_AREA_READ);
        g_assert_false(mm_load_find(&parallel, &area, &l));
        g_assert_false(mm_load_find(&(struct mm_elf){}, &area, &l));

        /* Linked to a higher address than it is loaded at. */
        area = (struct mm_area){ .start = 0x1000, .end = 0x2000, .offset = 0x1000, .flags = MM_AREA_READ };
        g_assert_true(mm_load_find(&separate, &area, &l));
        g_assert_cmphex(l.bias, ==, UINT64_C(0x1000) - 0x6000);
        g_assert_cmphex(mm_load_bss_end(&l, 0x5000), ==, 0);
        g_assert_cmphex(mm_load_bss_end(&l, 0x6000), ==, 0x8000);
}

static void test_fits(void)
{
        const struct mm_load l = { &packed, BIAS };
        struct mm_area area = area_at(0x2000, 0x2000, 0x1000, MM_AREA_READ);

        g_assert_true(mm_load_fits(&l, &area, BIAS + 0x2000));
        g_assert_true(mm_load_fits(&l, &area, BIAS + 0x3000));
        area.offset = 0;
        g_assert_false(mm_load_fits(&l, &area, BIAS + 0x2000));
        /* Behind the file part of a segment, whatever the offset. */
        area = area_at(0x2000, 0x3000, 0x1000, MM_AREA_READ);
        area.end = area.start + 0x10000;
        g_assert_false(mm_load_fits(&l, &area, BIAS + 0x8000));
}

static void test_gap(void)
{
        const struct mm_load l = { &separate, BIAS };
        static const uint64_t gaps[] = { 0x1000, 0x2000, 0x5000, 0x9000, 0xd000 };
        static const uint64_t others[] = { 0x0000, 0x3000, 0x4000, 0x6000, 0x8000, 0xa000, 0xc000 };

        for (size_t i = 0; i < ELEMENTSOF(gaps); i++)
                g_assert_true(mm_load_in_gap(&l, BIAS + gaps[i]));
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                g_assert_false(mm_load_in_gap(&l, BIAS + others[i]));
        g_assert_true(mm_load_in_gap(&l, BIAS - 0x1000));
}

static void test_bss(void)
{
        static const struct {
                const struct mm_elf *elf;
                uint64_t vaddr, end;
        } cases[] = {
                { &packed, 0x6000, 0 },
                { &packed, 0x7000, 0 }, /* the last page of .data, with the start of .bss */
                { &packed, 0x8000, 0xb000 },
                { &packed, 0xa000, 0xb000 },
                { &packed, 0xb000, 0 },
                { &parallel, 0x5000, 0 },
                { &parallel, 0x6000, 0 },
                { &separate, 0x3000, 0x5000 },
                { &separate, 0x4000, 0x5000 },
                { &separate, 0x7000, 0 }, /* not writable */
                { &separate, 0xb000, 0xd000 }, /* one byte on the last page */
                { &separate, 0xc000, 0xd000 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const struct mm_load l = { cases[i].elf, BIAS };
                uint64_t expected = cases[i].end > 0 ? BIAS + cases[i].end : 0;

                g_test_message("%zu", i);
                g_assert_cmphex(mm_load_bss_end(&l, BIAS + cases[i].vaddr), ==, expected);
        }
}

static void test_part(void)
{
        static const struct {
                uint64_t end;
                int part_readable, part_writable;
        } expected[] = {
                { 0x1000, MM_PART_TEXT, MM_PART_TEXT },
                { 0x2000, MM_PART_TEXT, MM_PART_DATA }, /* the gap: by access rights */
                { 0x3000, MM_PART_DATA, MM_PART_DATA },
                { 0x4000, MM_PART_RELRO, MM_PART_RELRO },
                { 0x6000, MM_PART_DATA, MM_PART_DATA },
                { 0x7000, MM_PART_TEXT, MM_PART_DATA },
        };
        const struct mm_load l = { &parallel, BIAS };

        for (unsigned writable = 0; writable < 2; writable++) {
                struct mm_area area = area_at(0, 0x7000, 0, MM_AREA_READ | (writable ? MM_AREA_WRITE : 0));
                uint64_t at = area.start, end;

                for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                        int part = writable ? expected[i].part_writable : expected[i].part_readable;

                        g_assert_cmpint(mm_load_part(&l, &area, at, &end), ==, part);
                        g_assert_cmphex(end, ==, BIAS + expected[i].end);
                        at = end;
                }
                g_assert_cmphex(at, ==, area.end);
        }
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/load/find", test_find);
        g_test_add_func("/load/fits", test_fits);
        g_test_add_func("/load/gap", test_gap);
        g_test_add_func("/load/bss", test_bss);
        g_test_add_func("/load/part", test_part);
        return g_test_run();
}
