/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How an address space is cut into pieces for a look at all of it. */
#include <fcntl.h>
#include <glib.h>
#include <sys/mman.h>

#include "lib/hash.h"
#include "lib/survey.h"

static void parse_areas(const char *text, struct mm_areas *ret)
{
        g_assert_cmpint(mm_areas_parse(strdup(text), strlen(text), ret), ==, 0);
}

/* An area with a library's data and what is not its own behind it, a gap, one that is nobody's. */
static void test_pieces(void)
{
        static const struct mm_range ranges[] = {
                { .start = 0x1000, .end = 0x3000 },
                { .start = 0x3000, .end = 0x4000 },
                { .start = 0x9000, .end = 0xa000 },
        };
        static const struct {
                uint64_t from, start, end;
                int area, range;
        } table[] = {
                { 0, 0x1000, 0x3000, 0, 0 },      { 0x1000, 0x1000, 0x3000, 0, 0 },
                { 0x2000, 0x2000, 0x3000, 0, 0 }, { 0x3000, 0x3000, 0x4000, 0, 1 },
                { 0x4000, 0x4000, 0x6000, 0, -1 }, { 0x6000, 0x8000, 0x9000, 1, -1 },
                { 0x7000, 0x8000, 0x9000, 1, -1 }, { 0x9000, 0x9000, 0xa000, 1, 2 },
                { 0xa000, 0xa000, 0xb000, 1, -1 },
        };
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        struct mm_survey s = { .areas = &areas, .ranges = ranges, .n_ranges = G_N_ELEMENTS(ranges) };
        struct mm_piece piece;

        parse_areas("1000-6000 rw-p 00000000 00:00 0\n8000-b000 rw-p 00000000 00:00 0\n", &areas);
        for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
                g_test_message("from %" G_GINT64_MODIFIER "x", table[i].from);
                g_assert_true(mm_survey_piece(&s, table[i].from, &piece));
                g_assert_cmphex(piece.start, ==, table[i].start);
                g_assert_cmphex(piece.end, ==, table[i].end);
                g_assert_true(piece.area == areas.items + table[i].area);
                g_assert_true(piece.range == (table[i].range < 0 ? NULL : ranges + table[i].range));
        }
        g_assert_false(mm_survey_piece(&s, 0xb000, &piece));
        g_assert_false(mm_survey_piece(&s, UINT64_MAX, &piece));

        s.n_ranges = 0;
        g_assert_true(mm_survey_piece(&s, 0, &piece));
        g_assert_cmphex(piece.end, ==, 0x6000);
        g_assert_null(piece.range);
}

struct look {
        uint64_t first, last;
        size_t n;
        int answer;
};

static int on_seen(void *userdata, const struct mm_piece *piece, const struct mm_seen *seen, size_t n)
{
        struct look *l = userdata;

        for (size_t i = 0; i < n; i++) {
                if (l->n++ == 0)
                        l->first = seen[i].page.address;
                l->last = seen[i].page.address;
                /* Nothing was asked of frames. */
                g_assert_cmpuint(seen[i].count, ==, 0);
                g_assert_cmpuint(seen[i].flags, ==, 0);
        }
        return l->answer;
}

/* What lies outside, or is the kernel's own, is not looked at; areas that are not there any more are
 * empty. */
static void test_walk(void)
{
        int flags = MAP_PRIVATE | MAP_ANONYMOUS;
        uint8_t *p = mmap(NULL, 20 * MM_PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pagemap = NULL;
        _cleanup_(closep) int fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        uint64_t start = (uintptr_t) p;
        struct mm_survey s;
        struct look l = {};

        g_assert_true(p != MAP_FAILED);
        memset(p, 1, 20 * MM_PAGE_SIZE);
        g_assert_cmpint(mm_areas_read(fd, &areas), ==, 0);
        g_assert_cmpint(mm_pagemap_open(fd, &pagemap), ==, 0);
        s = (struct mm_survey) { .pagemap = pagemap, .areas = &areas };

        g_assert_cmpint(mm_survey_walk(&s, start + 3 * MM_PAGE_SIZE, start + 12 * MM_PAGE_SIZE, on_seen, &l),
                        ==, 0);
        g_assert_cmpuint(l.n, ==, 9);
        g_assert_cmphex(l.first, ==, start + 3 * MM_PAGE_SIZE);
        g_assert_cmphex(l.last, ==, start + 11 * MM_PAGE_SIZE);
        g_assert_cmphex(s.next, ==, UINT64_MAX);
        g_assert_cmpuint(s.n_pages, ==, 9);

        l = (struct look) { .answer = -EXFULL };
        g_assert_cmpint(mm_survey_walk(&s, start, UINT64_MAX, on_seen, &l), ==, -EXFULL);
        g_assert_cmphex(s.next, >, start);

        munmap(p, 20 * MM_PAGE_SIZE);
        l = (struct look) {};
        g_assert_cmpint(mm_survey_walk(&s, start, start + 20 * MM_PAGE_SIZE, on_seen, &l), ==, 0);
        g_assert_cmpuint(l.n, ==, 0);
        g_assert_cmpint(mm_survey_walk(&s, UINT64_C(1) << 63, UINT64_MAX, on_seen, &l), ==, 0);
        g_assert_cmpuint(l.n, ==, 0);
}

/* Without the files of frames there is nothing to tell. */
static void test_no_frames(void)
{
        struct mm_kpage closed = { -EBADF, -EBADF };
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pagemap = NULL;
        _cleanup_(closep) int fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        struct mm_survey s;
        struct look l = {};

        g_assert_cmpint(mm_areas_read(fd, &areas), ==, 0);
        g_assert_cmpint(mm_pagemap_open(fd, &pagemap), ==, 0);
        s = (struct mm_survey) { .pagemap = pagemap, .areas = &areas, .kpage = &closed };
        g_assert_cmpint(mm_survey_walk(&s, 0, UINT64_MAX, on_seen, &l), ==, -ENODATA);
        g_assert_cmpuint(l.n, ==, 0);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/survey/pieces", test_pieces);
        g_test_add_func("/survey/walk", test_walk);
        g_test_add_func("/survey/no-frames", test_no_frames);
        return g_test_run();
}
