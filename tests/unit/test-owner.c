/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <glib.h>
#include <inttypes.h>

#include "lib/owner.h"

/* The rule on small lists of areas with made-up addresses. Files are told by inode:
 *
 * 7 is a library; RELRO ends within a page, which stays .data; .bss is two pages:
 *     file 0000-1234 at 0000, 1800-3500 at 2800; memory up to 6100; RELRO 2800-3800
 * 8 is a program without RELRO, linked to 400000, .bss 403000-405000
 * 9 is no ELF, 14 another file that looks like 7. */

static const struct mm_elf library = {
        .n_segments = 2,
        .segments = { { 0, 0, 0x1234, 0x1234, PF_R | PF_X },
                      { 0x2800, 0x1800, 0x1d00, 0x3900, PF_R | PF_W } },
        .relro_vaddr = 0x2800,
        .relro_memsz = 0x1000,
};

static const struct mm_elf program = {
        .n_segments = 2,
        .segments = { { 0x400000, 0, 0x1000, 0x1000, PF_R | PF_X },
                      { 0x402000, 0x1000, 0x1000, 0x2f00, PF_R | PF_W } },
};

/* Each segment begins in the page of the file in which the one before ends. */
static const struct mm_elf packed = {
        .n_segments = 2,
        .segments = { { 0, 0, 0x1800, 0x1800, PF_R | PF_X },
                      { 0x201800, 0x1800, 0x1000, 0x1000, PF_R | PF_W } },
        .relro_vaddr = 0x201800,
        .relro_memsz = 0x800,
};

/* .bss in a segment of its own. */
static const struct mm_elf split = {
        .n_segments = 3,
        .segments = { { 0, 0, 0x1000, 0x1000, PF_R | PF_X },
                      { 0x1000, 0x1000, 0x1000, 0x1000, PF_R | PF_W },
                      { 0x4000, 0x2000, 0, 0x1800, PF_R | PF_W } },
};

/* Old binutils: segments 2 MiB apart. */
static const struct mm_elf distant = {
        .n_segments = 2,
        .segments = { { 0, 0, 0x3000, 0x3000, PF_R | PF_X },
                      { 0x203000, 0x3000, 0x1000, 0x2000, PF_R | PF_W } },
};

static int look_up(void *userdata, const struct mm_area *area, const struct mm_elf **ret)
{
        static const struct mm_elf *const files[] = {
                [7] = &library, [8] = &program, [10] = &packed, [11] = &split, [12] = &distant,
                [14] = &library,
        };
        unsigned *n_calls = userdata;

        if (n_calls)
                (*n_calls)++;
        if (area->file.ino == 13)
                return -EIO;
        if (area->file.ino >= ELEMENTSOF(files) || !files[area->file.ino])
                return 0;
        *ret = files[area->file.ino];
        return 1;
}

struct expected {
        uint64_t start, end;
        int owner, part;
};

static const struct mm_file_id exe = { .dev = 0x100, .ino = 8 };

static int assign(const char *text, struct mm_areas *areas, struct mm_range **ret, size_t *ret_n)
{
        g_assert_cmpint(mm_areas_parse(strdup(text), strlen(text), areas), ==, 0);
        return mm_owners_assign(areas, &exe, look_up, NULL, ret, ret_n);
}

static void check(const char *text, const struct expected *expected, size_t n_expected)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        _cleanup_(freep) struct mm_range *ranges = NULL;
        size_t n;

        g_assert_cmpint(assign(text, &areas, &ranges, &n), ==, 0);
        for (size_t i = 0; i < n; i++)
                g_test_message("%" PRIx64 "-%" PRIx64 " %s %s %s", ranges[i].start, ranges[i].end,
                               mm_owner_kind_name(ranges[i].owner), mm_owner_part_name(ranges[i].part),
                               ranges[i].name);
        for (size_t i = 0; i < MIN(n, n_expected); i++) {
                const struct mm_area *area = mm_areas_find(&areas, ranges[i].start);

                g_assert_cmphex(ranges[i].start, ==, expected[i].start);
                g_assert_cmphex(ranges[i].end, ==, expected[i].end);
                g_assert_cmpint(ranges[i].owner, ==, expected[i].owner);
                g_assert_cmpint(ranges[i].part, ==, expected[i].part);

                g_assert_cmphex(ranges[i].end, <=, area->end);
                g_assert_cmpint(ranges[i].file_backed, ==, mm_file_id_known(&area->file));
                if (ranges[i].part == MM_PART_BSS && ranges[i - 1].owner == ranges[i].owner)
                        g_assert_true(mm_file_id_equal(&ranges[i].file, &ranges[i - 1].file));
        }
        g_assert_cmpuint(n, ==, n_expected);
}

#define CHECK(text, ...)                                                  \
        do {                                                              \
                static const struct expected expected_[] = { __VA_ARGS__ }; \
                check(text, expected_, ELEMENTSOF(expected_));            \
        } while (0)

#define LIBRARY(part) MM_OWNER_LIBRARY, MM_PART_##part
#define PROGRAM(part) MM_OWNER_PROGRAM, MM_PART_##part
#define OTHER(owner) MM_OWNER_##owner, MM_PART_NONE

static void test_library(void)
{
        CHECK("10000-12000 r-xp 00000000 01:00 7 /lib/l.so\n"
              "12000-13000 r--p 00001000 01:00 7 /lib/l.so\n"
              "13000-15000 rw-p 00002000 01:00 7 /lib/l.so\n"
              "15000-17000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x12000, LIBRARY(TEXT) },
              { 0x12000, 0x13000, LIBRARY(RELRO) },
              { 0x13000, 0x15000, LIBRARY(DATA) },
              { 0x15000, 0x17000, LIBRARY(BSS) });
        /* The kernel joined .bss and an area of an allocator that landed right behind it. */
        CHECK("10000-12000 r-xp 00000000 01:00 7 /lib/l.so\n"
              "12000-13000 r--p 00001000 01:00 7 /lib/l.so\n"
              "13000-15000 rw-p 00002000 01:00 7 /lib/l.so\n"
              "15000-57000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x12000, LIBRARY(TEXT) },
              { 0x12000, 0x13000, LIBRARY(RELRO) },
              { 0x13000, 0x15000, LIBRARY(DATA) },
              { 0x15000, 0x17000, LIBRARY(BSS) },
              { 0x17000, 0x57000, OTHER(ANON) });
}

static void test_behind(void)
{
        CHECK("13000-15000 rw-p 00002000 01:00 7 /lib/l.so\n"
              "15000-17000 rw-p 00000000 00:00 0 \n"
              "17000-18000 rwxp 00000000 00:00 0 \n"
              "18000-19000 rw-p 00000000 00:00 0 \n",
              { 0x13000, 0x15000, LIBRARY(DATA) },
              { 0x15000, 0x17000, LIBRARY(BSS) },
              { 0x17000, 0x18000, OTHER(ANON) },
              { 0x18000, 0x19000, OTHER(ANON) });
        /* Where .bss should be, but not next to the load: it was unmapped, and something else came. */
        CHECK("13000-15000 rw-p 00002000 01:00 7 /lib/l.so\n"
              "16000-17000 rw-p 00000000 00:00 0 \n",
              { 0x13000, 0x15000, LIBRARY(DATA) },
              { 0x16000, 0x17000, OTHER(ANON) });
}

/* Parts by address, whatever mprotect() made of the areas. */
static void test_protections(void)
{
        /* RELRO not yet, or never, read-only. */
        CHECK("10000-12000 r-xp 00000000 01:00 7 /lib/l.so\n"
              "12000-15000 rw-p 00001000 01:00 7 /lib/l.so\n",
              { 0x10000, 0x12000, LIBRARY(TEXT) },
              { 0x12000, 0x13000, LIBRARY(RELRO) },
              { 0x13000, 0x15000, LIBRARY(DATA) });
        /* Everything in pieces. */
        CHECK("10000-11000 r-xp 00000000 01:00 7 /lib/l.so\n"
              "11000-12000 rwxp 00001000 01:00 7 /lib/l.so\n"
              "12000-13000 r--p 00001000 01:00 7 /lib/l.so\n"
              "13000-14000 ---p 00002000 01:00 7 /lib/l.so\n"
              "14000-15000 rw-p 00003000 01:00 7 /lib/l.so\n"
              "15000-16000 ---p 00000000 00:00 0 \n"
              "16000-20000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x11000, LIBRARY(TEXT) },
              { 0x11000, 0x12000, LIBRARY(TEXT) },
              { 0x12000, 0x13000, LIBRARY(RELRO) },
              { 0x13000, 0x14000, LIBRARY(DATA) },
              { 0x14000, 0x15000, LIBRARY(DATA) },
              { 0x15000, 0x16000, LIBRARY(BSS) },
              { 0x16000, 0x17000, LIBRARY(BSS) },
              { 0x17000, 0x20000, OTHER(ANON) });
}

static void test_twice(void)
{
        /* The second load begins where the .bss of the first ends. */
        CHECK("10000-12000 r-xp 00000000 01:00 7 /lib/l.so\n"
              "12000-13000 r--p 00001000 01:00 7 /lib/l.so\n"
              "13000-15000 rw-p 00002000 01:00 7 /lib/l.so\n"
              "15000-17000 rw-p 00000000 00:00 0 \n"
              "17000-19000 r-xp 00000000 01:00 7 /lib/l.so\n"
              "19000-1a000 r--p 00001000 01:00 7 /lib/l.so\n"
              "1a000-1c000 rw-p 00002000 01:00 7 /lib/l.so\n"
              "1c000-20000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x12000, LIBRARY(TEXT) },
              { 0x12000, 0x13000, LIBRARY(RELRO) },
              { 0x13000, 0x15000, LIBRARY(DATA) },
              { 0x15000, 0x17000, LIBRARY(BSS) },
              { 0x17000, 0x19000, LIBRARY(TEXT) },
              { 0x19000, 0x1a000, LIBRARY(RELRO) },
              { 0x1a000, 0x1c000, LIBRARY(DATA) },
              { 0x1c000, 0x1e000, LIBRARY(BSS) },
              { 0x1e000, 0x20000, OTHER(ANON) });
        /* One in the place of another, as if it had been. */
        CHECK("10000-12000 r-xp 00000000 01:00 7 /lib/l.so\n"
              "12000-15000 rw-p 00001000 01:00 14 /lib/m.so\n"
              "15000-17000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x12000, LIBRARY(TEXT) },
              { 0x12000, 0x13000, LIBRARY(RELRO) },
              { 0x13000, 0x15000, LIBRARY(DATA) },
              { 0x15000, 0x17000, LIBRARY(BSS) });
}

/* A file that is mapped to be looked at, as debuggers do, has no .bss. */
static void test_read_as_data(void)
{
        CHECK("10000-14000 r--p 00000000 01:00 7 /lib/l.so\n"
              "14000-20000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x12000, LIBRARY(TEXT) },
              { 0x12000, 0x13000, LIBRARY(RELRO) },
              { 0x13000, 0x14000, LIBRARY(DATA) },
              { 0x14000, 0x20000, OTHER(ANON) });
        CHECK("10000-16000 r--p 00000000 01:00 7 /lib/l.so\n"
              "16000-20000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x12000, LIBRARY(TEXT) },
              { 0x12000, 0x13000, LIBRARY(RELRO) },
              { 0x13000, 0x15000, LIBRARY(DATA) },
              { 0x15000, 0x16000, LIBRARY(TEXT) },
              { 0x16000, 0x20000, OTHER(ANON) });
        /* The same right below a load. */
        CHECK("0c000-10000 r--p 00000000 01:00 7 /lib/l.so\n"
              "10000-12000 r-xp 00000000 01:00 7 /lib/l.so\n"
              "12000-13000 r--p 00001000 01:00 7 /lib/l.so\n"
              "13000-15000 rw-p 00002000 01:00 7 /lib/l.so\n"
              "15000-20000 rw-p 00000000 00:00 0 \n",
              { 0x0c000, 0x0e000, LIBRARY(TEXT) },
              { 0x0e000, 0x0f000, LIBRARY(RELRO) },
              { 0x0f000, 0x10000, LIBRARY(DATA) },
              { 0x10000, 0x12000, LIBRARY(TEXT) },
              { 0x12000, 0x13000, LIBRARY(RELRO) },
              { 0x13000, 0x15000, LIBRARY(DATA) },
              { 0x15000, 0x17000, LIBRARY(BSS) },
              { 0x17000, 0x20000, OTHER(ANON) });
        /* What the program headers know nothing of: debug information behind the segments. */
        CHECK("10000-11000 r--p 00009000 01:00 7 /lib/l.so\n"
              "20000-21000 rw-p 00009000 01:00 7 /lib/l.so\n",
              { 0x10000, 0x11000, LIBRARY(TEXT) },
              { 0x20000, 0x21000, LIBRARY(DATA) });
}

static void test_shared(void)
{
        CHECK("10000-12000 r--s 00000000 01:00 7 /lib/l.so\n"
              "12000-13000 rw-s 00001000 01:00 7 /lib/l.so\n"
              "13000-14000 rw-p 00000000 00:00 0 \n"
              "15000-16000 rw-s 00000000 00:01 9 /dev/zero (deleted)\n"
              "16000-17000 rw-s 00000000 00:01 9 /memfd:x (deleted)\n"
              "17000-18000 rw-p 00000000 00:01 9 /memfd:x (deleted)\n"
              "18000-19000 rw-p 00000000 00:0f 9 /anon_hugepage (deleted)\n"
              "19000-1a000 r-xp 00000000 00:00 0 [vdso]\n",
              { 0x13000, 0x14000, OTHER(ANON) },
              { 0x17000, 0x18000, OTHER(FILE) });
}

static void test_gaps(void)
{
        CHECK("10000-13000 r-xp 00000000 01:00 12 /lib/distant.so\n"
              "13000-213000 ---p 00003000 01:00 12 /lib/distant.so\n"
              "213000-214000 rw-p 00003000 01:00 12 /lib/distant.so\n"
              "214000-216000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x13000, LIBRARY(TEXT) },
              { 0x13000, 0x213000, LIBRARY(TEXT) },
              { 0x213000, 0x214000, LIBRARY(DATA) },
              { 0x214000, 0x215000, LIBRARY(BSS) },
              { 0x215000, 0x216000, OTHER(ANON) });
        /* The kernel loads a program without filling the gap: others may get in between. */
        CHECK("10000-13000 r-xp 00000000 01:00 12 /lib/distant.so\n"
              "100000-101000 r--p 00000000 01:00 9 /srv/data\n"
              "101000-102000 rw-p 00000000 00:00 0 \n"
              "213000-214000 rw-p 00003000 01:00 12 /lib/distant.so\n"
              "214000-216000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x13000, LIBRARY(TEXT) },
              { 0x100000, 0x101000, OTHER(FILE) },
              { 0x101000, 0x102000, OTHER(ANON) },
              { 0x213000, 0x214000, LIBRARY(DATA) },
              { 0x214000, 0x215000, LIBRARY(BSS) },
              { 0x215000, 0x216000, OTHER(ANON) });
}

static void test_shared_page_of_file(void)
{
        CHECK("10000-12000 r-xp 00000000 01:00 10 /lib/packed.so\n"
              "12000-211000 ---p 00002000 01:00 10 /lib/packed.so\n"
              "211000-212000 r--p 00001000 01:00 10 /lib/packed.so\n"
              "212000-213000 rw-p 00002000 01:00 10 /lib/packed.so\n"
              "213000-214000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x12000, LIBRARY(TEXT) },
              { 0x12000, 0x211000, LIBRARY(TEXT) },
              { 0x211000, 0x212000, LIBRARY(RELRO) },
              { 0x212000, 0x213000, LIBRARY(DATA) },
              { 0x213000, 0x214000, OTHER(ANON) });
}

static void test_bss_segment(void)
{
        CHECK("10000-11000 r-xp 00000000 01:00 11 /lib/split.so\n"
              "11000-12000 rw-p 00001000 01:00 11 /lib/split.so\n"
              "12000-14000 ---p 00002000 01:00 11 /lib/split.so\n"
              "14000-17000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x11000, LIBRARY(TEXT) },
              { 0x11000, 0x12000, LIBRARY(DATA) },
              { 0x12000, 0x14000, LIBRARY(TEXT) },
              { 0x14000, 0x16000, LIBRARY(BSS) },
              { 0x16000, 0x17000, OTHER(ANON) });
}

static void test_program(void)
{
        CHECK("400000-401000 r-xp 00000000 01:00 8 /bin/p\n"
              "402000-403000 rw-p 00001000 01:00 8 /bin/p\n"
              "403000-405000 rw-p 00000000 00:00 0 \n"
              "405000-426000 rw-p 00000000 00:00 0 [heap]\n",
              { 0x400000, 0x401000, PROGRAM(TEXT) },
              { 0x402000, 0x403000, PROGRAM(DATA) },
              { 0x403000, 0x405000, PROGRAM(BSS) },
              { 0x405000, 0x426000, OTHER(HEAP) });
        /* Joined, and then called [heap] from the start of .bss on. */
        CHECK("400000-401000 r-xp 00000000 01:00 8 /bin/p\n"
              "402000-403000 rw-p 00001000 01:00 8 /bin/p\n"
              "403000-426000 rw-p 00000000 00:00 0 [heap]\n",
              { 0x400000, 0x401000, PROGRAM(TEXT) },
              { 0x402000, 0x403000, PROGRAM(DATA) },
              { 0x403000, 0x405000, PROGRAM(BSS) },
              { 0x405000, 0x426000, OTHER(HEAP) });
}

static void test_exe(void)
{
        static const char text[] = "1000-2000 r--p 00000000 01:00 9 /bin/no-elf\n"
                                   "400000-401000 r-xp 00000000 01:00 8 /bin/p\n";
        static const struct mm_file_id unknown = {}, no_elf = { 0x100, 9 };
        static const struct {
                const struct mm_file_id *exe;
                int owners[2];
        } cases[] = {
                { NULL, { MM_OWNER_FILE, MM_OWNER_LIBRARY } },
                { &unknown, { MM_OWNER_FILE, MM_OWNER_LIBRARY } },
                { &no_elf, { MM_OWNER_PROGRAM, MM_OWNER_LIBRARY } },
        };
        _cleanup_(mm_areas_done) struct mm_areas areas = {};

        g_assert_cmpint(mm_areas_parse(strdup(text), strlen(text), &areas), ==, 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct mm_range *ranges;
                size_t n;

                g_assert_cmpint(mm_owners_assign(&areas, cases[i].exe, look_up, NULL, &ranges, &n), ==, 0);
                g_assert_cmpuint(n, ==, 2);
                g_assert_cmpint(ranges[0].owner, ==, cases[i].owners[0]);
                g_assert_cmpint(ranges[1].owner, ==, cases[i].owners[1]);
                free(ranges);
        }
}

static void test_stacks(void)
{
        CHECK("10000-11000 ---p 00000000 00:00 0 \n"
              "11000-20000 rw-p 00000000 00:00 0 \n"
              "20000-21000 ---p 00000000 00:00 0 \n"
              "21000-30000 rwxp 00000000 00:00 0 \n" /* a stack that code may lie on */
              "30000-31000 rw-p 00000000 00:00 0 \n" /* its guard is not next to it */
              "40000-41000 ---p 00000000 00:00 0 \n"
              "42000-43000 rw-p 00000000 00:00 0 \n" /* a gap between */
              "50000-51000 ---p 00000000 00:00 0 \n"
              "51000-52000 r--p 00000000 00:00 0 \n"
              "60000-61000 ---p 00000000 01:00 9 /srv/data\n"
              "61000-62000 rw-p 00000000 00:00 0 \n" /* no guard: a file's */
              "1000000-5000000 ---p 00000000 00:00 0 \n"
              "5000000-5021000 rw-p 00000000 00:00 0 \n" /* an arena above the reserve of another */
              "6000000-6001000 rw-p 00000000 00:00 0 [stack:4711]\n"
              "7000000-7021000 rw-p 00000000 00:00 0 [stack]\n",
              { 0x10000, 0x11000, OTHER(ANON) },
              { 0x11000, 0x20000, OTHER(THREAD_STACK) },
              { 0x20000, 0x21000, OTHER(ANON) },
              { 0x21000, 0x30000, OTHER(THREAD_STACK) },
              { 0x30000, 0x31000, OTHER(ANON) },
              { 0x40000, 0x41000, OTHER(ANON) },
              { 0x42000, 0x43000, OTHER(ANON) },
              { 0x50000, 0x51000, OTHER(ANON) },
              { 0x51000, 0x52000, OTHER(ANON) },
              { 0x60000, 0x61000, OTHER(FILE) },
              { 0x61000, 0x62000, OTHER(ANON) },
              { 0x1000000, 0x5000000, OTHER(ANON) },
              { 0x5000000, 0x5021000, OTHER(ANON) },
              { 0x6000000, 0x6001000, OTHER(THREAD_STACK) },
              { 0x7000000, 0x7021000, OTHER(STACK) });
}

static void test_named(void)
{
        CHECK("0000-1000 rw-p 00000000 00:00 0 [anon:low]\n"
              "13000-15000 rw-p 00002000 01:00 7 /lib/l.so\n"
              "15000-16000 rw-p 00000000 00:00 0 [anon:mine]\n"
              "16000-18000 rw-p 00000000 00:00 0 \n"
              "18000-19000 rw-p 00000000 00:00 0 [anon:cache]\n",
              { 0x0000, 0x1000, OTHER(NAMED) },
              { 0x13000, 0x15000, LIBRARY(DATA) },
              { 0x15000, 0x16000, OTHER(NAMED) },
              { 0x16000, 0x17000, LIBRARY(BSS) },
              { 0x17000, 0x18000, OTHER(ANON) },
              { 0x18000, 0x19000, OTHER(NAMED) });
}

static void test_device(void)
{
        CHECK("10000-11000 rw-s 00000000 00:06 9 /dev/mem\n"
              "11000-12000 rw-p 00000000 00:00 0 \n"
              "12000-13000 r--p 00000000 00:00 0 \n"
              "13000-14000 rw-s 00000000 00:01 9 /SYSV00000000 (deleted)\n"
              "14000-15000 rw-p 00000000 00:00 0 [anon:x]\n"
              "15000-16000 rw-p 00000000 00:00 0 [heap]\n"
              "17000-18000 rw-p 00000000 00:00 0 \n" /* a gap ends it */
              "20000-21000 rw-p 00000000 00:06 9 /dev/mem\n"
              "21000-22000 r--p 00000000 01:00 9 /srv/data\n" /* a file ends it */
              "22000-23000 rw-p 00000000 00:00 0 \n"
              "23000-24000 rw-p 00000000 00:06 4 /dev/zero\n"
              "24000-25000 rw-p 00000000 00:00 0 \n",
              { 0x17000, 0x18000, OTHER(ANON) },
              { 0x21000, 0x22000, OTHER(FILE) },
              { 0x22000, 0x23000, OTHER(ANON) },
              { 0x23000, 0x24000, OTHER(ANON) },
              { 0x24000, 0x25000, OTHER(ANON) });
        /* A library below which a device was mapped later keeps its own. */
        CHECK("f000-10000 rw-s 00000000 00:06 9 /dev/dri/card0\n"
              "10000-12000 r-xp 00000000 01:00 7 /lib/l.so\n"
              "12000-13000 r--p 00001000 01:00 7 /lib/l.so\n"
              "13000-15000 rw-p 00002000 01:00 7 /lib/l.so\n"
              "15000-18000 rw-p 00000000 00:00 0 \n",
              { 0x10000, 0x12000, LIBRARY(TEXT) },
              { 0x12000, 0x13000, LIBRARY(RELRO) },
              { 0x13000, 0x15000, LIBRARY(DATA) },
              { 0x15000, 0x17000, LIBRARY(BSS) },
              { 0x17000, 0x18000, OTHER(ANON) });
}

static void test_lookup(void)
{
        static const char row[] = "10000-12000 r-xp 00000000 01:00 7 /lib/l.so\n"
                                  "12000-13000 r--p 00001000 01:00 7 /lib/l.so\n"
                                  "13000-15000 rw-p 00002000 01:00 7 /lib/l.so\n"
                                  "20000-21000 r--s 00000000 01:00 13 /srv/shared\n";
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        struct mm_range *ranges = (void *)-1;
        unsigned n_calls = 0;
        size_t n = 4711;

        /* Once for a file, and never for what is shared. */
        g_assert_cmpint(mm_areas_parse(strdup(row), strlen(row), &areas), ==, 0);
        g_assert_cmpint(mm_owners_assign(&areas, &exe, look_up, &n_calls, &ranges, &n), ==, 0);
        g_assert_cmpuint(n_calls, ==, 1);
        g_assert_cmpstr(ranges->name, ==, "/lib/l.so");
        g_assert_cmpuint(ranges->file.ino, ==, 7);
        free(ranges);
        mm_areas_done(&areas);

        ranges = (void *)-1;
        n = 4711;
        g_assert_cmpint(assign("1000-2000 rw-p 00000000 00:00 0 \n2000-3000 r--p 00000000 01:00 13 /srv/x\n",
                               &areas, &ranges, &n), ==, -EIO);
        g_assert_true(ranges == (void *)-1);
        g_assert_cmpuint(n, ==, 4711);
        mm_areas_done(&areas);

        check("", NULL, 0);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/owner/library", test_library);
        g_test_add_func("/owner/behind", test_behind);
        g_test_add_func("/owner/protections", test_protections);
        g_test_add_func("/owner/twice", test_twice);
        g_test_add_func("/owner/read-as-data", test_read_as_data);
        g_test_add_func("/owner/shared", test_shared);
        g_test_add_func("/owner/gaps", test_gaps);
        g_test_add_func("/owner/shared-page-of-file", test_shared_page_of_file);
        g_test_add_func("/owner/bss-segment", test_bss_segment);
        g_test_add_func("/owner/program", test_program);
        g_test_add_func("/owner/exe", test_exe);
        g_test_add_func("/owner/stacks", test_stacks);
        g_test_add_func("/owner/named", test_named);
        g_test_add_func("/owner/device", test_device);
        g_test_add_func("/owner/lookup", test_lookup);
        return g_test_run();
}
