/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/erosion.h"

#define SEC (1000ULL * 1000U)
#define PAGES 65536U /* 256 MiB */
#define CPU_NSEC_PER_PAGE 2500U

/* Something merges @merged pages in a step of @step seconds and loses @lost. */
struct world {
        struct erosion e;
        struct erosion_sample s;
        uint64_t now;
};

static bool step(struct world *w, unsigned seconds, uint64_t merged, uint64_t lost)
{
        w->now += seconds * SEC;
        w->s.n_merged += merged;
        w->s.n_lost += lost;
        w->s.cpu_nsec += merged * CPU_NSEC_PER_PAGE;
        w->s.merged_pages += merged - lost;
        w->s.saved_bytes = w->s.merged_pages * 4096U;
        return erosion_judge(&w->e, w->now, &w->s);
}

static void begin(struct world *w)
{
        *w = (struct world) { .now = 5000 * SEC };
        g_assert_false(step(w, 0, 0, 0));
}

static void test_holds(void)
{
        struct world w;

        begin(&w);
        g_assert_false(step(&w, 15, PAGES, 0));
        for (unsigned i = 0; i < 5000; i++)
                g_assert_false(step(&w, 15, 0, 0));
        g_assert_false(erosion_rests(&w.e, w.now));
}

/* 256 MiB that are all written to before the next look. */
static void test_rewritten(void)
{
        struct world w;

        begin(&w);
        g_assert_false(step(&w, 15, PAGES, 0));
        g_assert_true(step(&w, 15, 0, PAGES));
        g_assert_true(erosion_rests(&w.e, w.now));
        /* Told once. */
        g_assert_false(step(&w, 15, 0, 0));
}

/* The formula: 65536 pages that are all lost have cost 65536 * (2.5 + 4) us, at 8 GiB for a second of it
 * 3.41 GiB seconds: 256 MiB for 13.6 s. */
static void test_break_even(void)
{
        static const struct {
                unsigned seconds;
                bool erodes;
        } cases[] = { { 1, true }, { 10, true }, { 13, true }, { 14, false }, { 100, false } };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                struct world w;

                begin(&w);
                g_assert_false(step(&w, 1, PAGES, 0));
                g_assert_false(step(&w, cases[i].seconds, 0, 0));
                g_test_message("held for %u s", cases[i].seconds);
                g_assert_true(step(&w, 0, 0, PAGES) == cases[i].erodes);
        }
}

/* Of what was spent on looking, those that stay bear their part. */
static void test_share(void)
{
        struct erosion e = { .n_merged = 1000, .n_lost = 250, .cpu_nsec = 4e9 };

        g_assert_cmpfloat_with_epsilon(erosion_cost_byte_seconds(&e),
                                       (1.0 + 250 * 4e-6) * (double) (8ULL << 30), 1000);
        e.n_lost = 4000;
        g_assert_cmpfloat_with_epsilon(erosion_cost_byte_seconds(&e),
                                       (4.0 + 4000 * 4e-6) * (double) (8ULL << 30), 1000);
        e.n_merged = 0;
        g_assert_cmpfloat_with_epsilon(erosion_cost_byte_seconds(&e),
                                       (4.0 + 4000 * 4e-6) * (double) (8ULL << 30), 1000);
}

/* Much that lasts pays for a little that does not; the other way round it erodes. */
static void test_mixed(void)
{
        struct world w;
        bool eroded = false;

        begin(&w);
        g_assert_false(step(&w, 15, PAGES, 0));
        for (unsigned i = 0; i < 1000; i++)
                g_assert_false(step(&w, 15, PAGES / 64U, PAGES / 64U));

        begin(&w);
        g_assert_false(step(&w, 15, PAGES / 64U, 0));
        for (unsigned i = 0; i < 100 && !eroded; i++)
                eroded = step(&w, 15, PAGES, PAGES);
        g_assert_true(eroded);
}

static void test_little(void)
{
        struct world w;

        begin(&w);
        g_assert_false(step(&w, 15, EROSION_LOST_MIN - 1, 0));
        g_assert_false(step(&w, 15, 0, EROSION_LOST_MIN - 1));
        g_assert_false(step(&w, 15, 1, 0));
        g_assert_true(step(&w, 1, 0, 1));
}

/* Each rest is twice as long as the one before, up to a day; a time of paying makes the next short again. */
static void test_rests(void)
{
        uint64_t expected = EROSION_REST_MIN_USEC;
        struct world w;

        begin(&w);
        for (unsigned i = 0; i < 12; i++) {
                uint64_t until;

                g_assert_false(step(&w, 1, PAGES, 0));
                g_assert_true(step(&w, 1, 0, PAGES));
                until = w.now + expected;
                g_assert_true(erosion_rests(&w.e, until - 1));
                g_assert_false(erosion_rests(&w.e, until));
                /* What goes on being lost meanwhile is no news. */
                w.s.merged_pages += PAGES;
                while (w.now + 600 * SEC < until)
                        g_assert_false(step(&w, 600, 0, 1));
                w.s.merged_pages = 0;
                w.now = until - SEC;
                g_assert_false(step(&w, 1, 0, 0));
                expected = MIN(expected * 2U, EROSION_REST_MAX_USEC);
        }
        g_assert_cmpuint(expected, ==, EROSION_REST_MAX_USEC);

        g_assert_false(step(&w, 1, PAGES, 0));
        for (unsigned i = 0; i < 2 * 1440; i++)
                g_assert_false(step(&w, 60, 0, 0));
        g_assert_true(step(&w, 1, 1000U * PAGES, 1000U * PAGES));
        g_assert_true(erosion_rests(&w.e, w.now + EROSION_REST_MIN_USEC - 1));
        g_assert_false(erosion_rests(&w.e, w.now + EROSION_REST_MIN_USEC));
}

/* What was saved last year does not pay for what is lost now. */
static void test_forgets(void)
{
        struct world w;

        begin(&w);
        g_assert_false(step(&w, 1, PAGES, 0));
        g_assert_false(step(&w, 3600, 0, 0));
        /* Given back, not written to. */
        w.s.merged_pages = 0;
        g_assert_false(step(&w, 3600, 0, 0));
        g_assert_false(step(&w, 365U * 86400U, 0, 0));
        g_assert_false(step(&w, 1, PAGES, 0));
        g_assert_true(step(&w, 1, 0, PAGES));
}

/* Sums that shrink, as after a restart, and a clock that stands still. */
static void test_odd(void)
{
        struct world w;

        begin(&w);
        g_assert_false(step(&w, 15, PAGES, 0));
        w.s = (struct erosion_sample) {};
        g_assert_false(step(&w, 15, 0, 0));
        w.now -= 100 * SEC;
        g_assert_false(step(&w, 1, 10, 0));
        g_assert_false(step(&w, 0, 0, 0));
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/erosion/holds", test_holds);
        g_test_add_func("/erosion/rewritten", test_rewritten);
        g_test_add_func("/erosion/break-even", test_break_even);
        g_test_add_func("/erosion/share", test_share);
        g_test_add_func("/erosion/mixed", test_mixed);
        g_test_add_func("/erosion/little", test_little);
        g_test_add_func("/erosion/rests", test_rests);
        g_test_add_func("/erosion/forgets", test_forgets);
        g_test_add_func("/erosion/odd", test_odd);
        return g_test_run();
}
