/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups of equal pages and what sharing them would save. */
#include <glib.h>

#include "lib/group.h"

#define X MM_RECORD_EXCLUSIVE
#define Z MM_RECORD_ZERO
#define K MM_RECORD_KSM

/* One frame with @n mappings among the records and @mapcount in the system; 0: nobody knows. */
struct frame {
        uint32_t frame;
        uint32_t n;
        uint8_t flags;
        uint64_t mapcount;
};

struct test_case {
        const char *name;
        struct frame frames[4];
        size_t max_sharing;
        bool zero_is_free;
        struct mm_group expected;
        size_t saving;
};

static const struct test_case cases[] = {
        { "alone", { { 1, 1, X, 1 } }, 256, false, { .n_pages = 1, .n_frames = 1, .n_freeable = 1 }, 0 },
        { "two exclusive", { { 1, 1, X, 1 }, { 2, 1, X, 1 } }, 256, false,
          { .n_pages = 2, .n_frames = 2, .n_freeable = 2 }, 1 },
        { "four exclusive", { { 1, 1, X, 1 }, { 2, 1, X, 1 }, { 3, 1, X, 1 }, { 4, 1, X, 1 } }, 256, false,
          { .n_pages = 4, .n_frames = 4, .n_freeable = 4 }, 3 },
        { "no limit", { { 1, 1, X, 1 }, { 2, 1, X, 1 }, { 3, 1, X, 1 } }, 0, false,
          { .n_pages = 3, .n_frames = 3, .n_freeable = 3 }, 2 },

        /* Shared by fork. What is alone in its group is not asked for. */
        { "fork only", { { 1, 5, 0, 5 } }, 256, false, { .n_pages = 5, .n_frames = 1 }, 0 },
        { "fork, outside", { { 1, 5, 0, 6 } }, 256, false, { .n_pages = 5, .n_frames = 1 }, 0 },
        { "two forks", { { 1, 3, 0, 3 }, { 2, 4, 0, 4 } }, 256, false,
          { .n_pages = 7, .n_frames = 2, .n_freeable = 2 }, 1 },
        { "fork and one", { { 1, 3, 0, 3 }, { 2, 1, X, 1 } }, 256, false,
          { .n_pages = 4, .n_frames = 2, .n_freeable = 2 }, 1 },
        { "one mapping seen of two", { { 1, 1, 0, 2 }, { 2, 1, X, 1 } }, 256, false,
          { .n_pages = 2, .n_frames = 2, .n_freeable = 1 }, 0 },
        { "outsiders everywhere", { { 1, 2, 0, 3 }, { 2, 1, 0, 9 }, { 3, 4, 0, 5 } }, 256, false,
          { .n_pages = 7, .n_frames = 3 }, 0 },
        { "outsider and two", { { 1, 2, 0, 3 }, { 2, 1, X, 1 }, { 3, 1, X, 1 } }, 256, false,
          { .n_pages = 4, .n_frames = 3, .n_freeable = 2 }, 1 },
        { "mapcount not known", { { 1, 2, 0, 0 }, { 2, 2, 0, 0 } }, 256, false,
          { .n_pages = 4, .n_frames = 2 }, 0 },
        { "was exclusive, is not", { { 1, 2, X, 3 }, { 2, 1, X, 1 } }, 256, false,
          { .n_pages = 3, .n_frames = 2, .n_freeable = 1 }, 0 },
        { "exclusive twice", { { 1, 2, X, 0 }, { 2, 1, X, 1 } }, 256, false,
          { .n_pages = 3, .n_frames = 2, .n_freeable = 1 }, 0 },

        /* Frames nobody knows. */
        { "not known", { { 0, 3, X, 0 } }, 256, false, { .n_pages = 3, .n_frames = 3 }, 0 },
        { "not known, zero", { { 0, 3, X | Z, 0 } }, 256, true,
          { .n_pages = 3, .n_frames = 3, .zero = true }, 0 },
        { "some known", { { 0, 2, X, 0 }, { 1, 1, X, 1 }, { 2, 1, X, 1 } }, 256, false,
          { .n_pages = 4, .n_frames = 4, .n_freeable = 2 }, 1 },

        /* Zeros. */
        { "zero alone", { { 1, 1, X | Z, 1 } }, 256, true,
          { .n_pages = 1, .n_frames = 1, .n_freeable = 1, .zero = true }, 1 },
        { "zero alone, not free", { { 1, 1, X | Z, 1 } }, 256, false,
          { .n_pages = 1, .n_frames = 1, .n_freeable = 1, .zero = true }, 0 },
        { "zeros", { { 1, 1, X | Z, 1 }, { 2, 1, X | Z, 1 }, { 3, 1, X | Z, 1 } }, 256, true,
          { .n_pages = 3, .n_frames = 3, .n_freeable = 3, .zero = true }, 3 },
        { "zeros, not free", { { 1, 1, X | Z, 1 }, { 2, 1, X | Z, 1 }, { 3, 1, X | Z, 1 } }, 256, false,
          { .n_pages = 3, .n_frames = 3, .n_freeable = 3, .zero = true }, 2 },
        { "zeros by fork", { { 1, 2, Z, 2 } }, 256, true,
          { .n_pages = 2, .n_frames = 1, .n_freeable = 1, .zero = true }, 1 },
        { "zeros by fork, outside", { { 1, 2, Z, 3 } }, 256, true,
          { .n_pages = 2, .n_frames = 1, .zero = true }, 0 },
        { "not zeros", { { 1, 1, X, 1 }, { 2, 1, X, 1 } }, 256, true,
          { .n_pages = 2, .n_frames = 2, .n_freeable = 2 }, 1 },

        /* KSM's frames stay. */
        { "ksm only", { { 1, 9, K, 9 } }, 256, false, { .n_pages = 9, .n_frames = 1, .n_ksm = 1 }, 0 },
        { "ksm and one", { { 1, 9, K, 9 }, { 2, 1, X, 1 } }, 256, false,
          { .n_pages = 10, .n_frames = 2, .n_freeable = 1, .n_ksm = 1 }, 1 },
        { "ksm and three", { { 1, 2, K, 2 }, { 2, 1, X, 1 }, { 3, 1, X, 1 }, { 4, 1, X, 1 } }, 256, false,
          { .n_pages = 5, .n_frames = 4, .n_freeable = 3, .n_ksm = 1 }, 3 },
        { "ksm of one mapping", { { 1, 1, K | X, 1 }, { 2, 1, X, 1 } }, 256, false,
          { .n_pages = 2, .n_frames = 2, .n_freeable = 1, .n_ksm = 1 }, 1 },
        { "ksm, no limit", { { 1, 2, K, 90 }, { 2, 1, X, 1 } }, 0, false,
          { .n_pages = 3, .n_frames = 2, .n_freeable = 1, .n_ksm = 1, .n_ksm_outside = 88 }, 1 },
        { "ksm full", { { 1, 4, K, 4 }, { 2, 1, X, 1 }, { 3, 1, X, 1 } }, 4, false,
          { .n_pages = 6, .n_frames = 3, .n_freeable = 2, .n_ksm = 1 }, 1 },
        { "ksm full of others", { { 1, 1, K, 4 }, { 2, 1, X, 1 }, { 3, 1, X, 1 } }, 4, false,
          { .n_pages = 3, .n_frames = 3, .n_freeable = 2, .n_ksm = 1, .n_ksm_outside = 3 }, 1 },
        { "ksm almost full of others", { { 1, 1, K, 2 }, { 2, 1, X, 1 }, { 3, 1, X, 1 } }, 4, false,
          { .n_pages = 3, .n_frames = 3, .n_freeable = 2, .n_ksm = 1, .n_ksm_outside = 1 }, 2 },
        { "ksm, fork and outside", { { 1, 3, K, 3 }, { 2, 2, 0, 2 }, { 3, 1, 0, 2 } }, 256, false,
          { .n_pages = 6, .n_frames = 3, .n_freeable = 1, .n_ksm = 1 }, 1 },

        /* As many mappings as one frame takes. */
        { "limit reached", { { 1, 250, 0, 250 }, { 2, 6, 0, 6 } }, 256, false,
          { .n_pages = 256, .n_frames = 2, .n_freeable = 2 }, 1 },
        { "limit passed", { { 1, 250, 0, 250 }, { 2, 7, 0, 7 } }, 256, false,
          { .n_pages = 257, .n_frames = 2, .n_freeable = 2 }, 0 },
        { "more needed than there are", { { 1, 800, 0, 800 }, { 2, 1, X, 1 } }, 2, false,
          { .n_pages = 801, .n_frames = 2, .n_freeable = 2 }, 0 },
};

static int count_mappings(void *userdata, uint32_t frame, uint64_t *ret)
{
        const struct test_case *t = userdata;

        g_assert_cmpuint(frame, !=, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(t->frames); i++)
                if (t->frames[i].frame == frame && t->frames[i].mapcount > 0) {
                        *ret = t->frames[i].mapcount;
                        return 0;
                }
        return -ENXIO;
}

static void add(struct mm_records *r, uint64_t key, const struct frame *f)
{
        for (uint32_t i = 0; i < f->n; i++) {
                struct mm_record record = { .key = key, .page = i, .flags = f->flags, .frame = f->frame };

                g_assert_cmpint(mm_records_add(r, &record, false), ==, 0);
        }
}

static void test_case(const void *data)
{
        _cleanup_(mm_records_freep) struct mm_records *r = NULL;
        const struct test_case *t = data;
        struct mm_group g;
        size_t end;

        g_assert_cmpint(mm_records_new(1 << 20, &r), ==, 0);
        for (size_t i = G_N_ELEMENTS(t->frames); i > 0; i--)
                add(r, 42, &t->frames[i - 1]);
        /* Neighbours must not be drawn in, whatever frames they have. */
        add(r, 41, &(struct frame){ 1, 1, X, 1 });
        add(r, 43, &(struct frame){ 1, 1, X, 1 });
        mm_records_sort(r);

        end = mm_group_next(r, 1, count_mappings, (void *)t, &g);
        g_assert_cmpuint(end, ==, 1 + t->expected.n_pages);
        g_assert_true(g.records == mm_records_items(r) + 1);
        g_assert_cmpuint(g.n_pages, ==, t->expected.n_pages);
        g_assert_cmpuint(g.n_frames, ==, t->expected.n_frames);
        g_assert_cmpuint(g.n_freeable, ==, t->expected.n_freeable);
        g_assert_cmpuint(g.n_ksm, ==, t->expected.n_ksm);
        g_assert_cmpuint(g.n_ksm_outside, ==, t->expected.n_ksm_outside);
        g_assert_cmpint(g.zero, ==, t->expected.zero);
        g_assert_cmpuint(mm_group_saving(&g, t->max_sharing, t->zero_is_free), ==, t->saving);
}

/* N exclusive pages: one frame for each max_sharing of them stays. */
static void test_limit(void)
{
        static const struct {
                size_t n, max_sharing, saving;
        } table[] = {
                { 255, 256, 254 }, { 256, 256, 255 }, { 257, 256, 255 }, { 258, 256, 256 },
                { 512, 256, 510 }, { 513, 256, 510 }, { 513, 0, 512 },   { 1000, 2, 500 },
                { 5, 1, 0 },       { 5, SIZE_MAX, 4 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
                struct mm_group g = {
                        .n_pages = table[i].n,
                        .n_frames = table[i].n,
                        .n_freeable = table[i].n,
                };

                g_assert_cmpuint(mm_group_saving(&g, table[i].max_sharing, false), ==, table[i].saving);
                g_assert_cmpuint(mm_group_saving(&g, table[i].max_sharing, true), ==, table[i].saving);
        }
}

static int no_question(void *userdata, uint32_t frame, uint64_t *ret)
{
        g_assert_not_reached();
}

/* Exclusive frames and those alone in their group cost no system call. */
static void test_not_asked(void)
{
        _cleanup_(mm_records_freep) struct mm_records *r = NULL;
        struct mm_group g;
        size_t i = 0, n = 0;

        g_assert_cmpint(mm_records_new(1 << 20, &r), ==, 0);
        add(r, 1, &(struct frame){ 1, 1, X, 0 });
        add(r, 1, &(struct frame){ 2, 1, X, 0 });
        add(r, 2, &(struct frame){ 3, 7, 0, 0 });
        add(r, 3, &(struct frame){ 4, 1, 0, 0 });
        add(r, 4, &(struct frame){ 0, 3, 0, 0 });
        add(r, 5, &(struct frame){ 5, 1, X | Z, 0 });
        mm_records_sort(r);

        while ((i = mm_group_next(r, i, no_question, NULL, &g)) > 0)
                n++;
        g_assert_cmpuint(n, ==, 5);
}

static void test_walk(void)
{
        _cleanup_(mm_records_freep) struct mm_records *r = NULL;
        struct mm_group g = { .n_pages = 77 };
        size_t i = 0, n_groups = 0, n_pages = 0;

        g_assert_cmpint(mm_records_new(1 << 20, &r), ==, 0);
        g_assert_cmpuint(mm_group_next(r, 0, NULL, NULL, &g), ==, 0);
        g_assert_cmpuint(g.n_pages, ==, 77);

        for (uint32_t k = 1; k <= 50; k++)
                add(r, UINT64_C(0x9e3779b97f4a7c15) * k, &(struct frame){ k, k % 5 + 1, 0, 0 });
        mm_records_sort(r);

        while ((i = mm_group_next(r, i, NULL, NULL, &g)) > 0) {
                g_assert_cmpuint(g.n_pages, ==, g.records->frame % 5 + 1);
                g_assert_cmpuint(g.n_frames, ==, 1);
                n_pages += g.n_pages;
                n_groups++;
                g_assert_cmpuint(i, ==, n_pages);
        }
        g_assert_cmpuint(n_groups, ==, 50);
        g_assert_cmpuint(n_pages, ==, mm_records_count(r));
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *path = g_strdup_printf("/group/case/%s", cases[i].name);

                g_test_add_data_func(path, &cases[i], test_case);
        }
        g_test_add_func("/group/limit", test_limit);
        g_test_add_func("/group/not-asked", test_not_asked);
        g_test_add_func("/group/walk", test_walk);
        return g_test_run();
}
