/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Flags of pages, conditions on them, and runs of pages that have the same. */
#include <glib.h>
#include <linux/kernel-page-flags.h>

#include "lib/hash.h"
#include "lib/page-runs.h"

#define BIT(n) (UINT64_C(1) << (n))
#define ANON BIT(KPF_ANON)
#define LRU BIT(KPF_LRU)
#define KSM BIT(KPF_KSM)
#define SWAPBACKED BIT(KPF_SWAPBACKED)
#define FILE_BIT BIT(MM_FLAG_FILE)
#define EXCLUSIVE BIT(MM_FLAG_MMAP_EXCLUSIVE)

static void test_names(void)
{
        g_assert_cmpstr(mm_flag_name(KPF_ANON), ==, "anonymous");
        g_assert_cmpstr(mm_flag_name(KPF_ZERO_PAGE), ==, "zero_page");
        g_assert_cmpstr(mm_flag_name(KPF_PGTABLE), ==, "pgtable");
        g_assert_cmpstr(mm_flag_name(MM_FLAG_MMAP_EXCLUSIVE), ==, "mmap_exclusive");
        g_assert_null(mm_flag_name(27));
        g_assert_null(mm_flag_name(64));
        g_assert_cmphex(MM_FLAGS_OF_USERS & BIT(KPF_ZERO_PAGE), !=, 0);

        /* Each by its own name, whatever others begin with it. */
        for (unsigned i = 0; i < 64; i++) {
                struct mm_flag_error error;
                struct mm_flag_filter f;

                if (!mm_flag_name(i))
                        continue;
                g_assert_cmpint(mm_flag_filter_parse(mm_flag_name(i), &f, &error), ==, 0);
                g_assert_cmphex(f.mask, ==, BIT(i));
                g_assert_true(f.any);
        }
}

static void test_of_page(void)
{
        static const struct {
                struct mm_page page;
                uint64_t word, flags;
        } table[] = {
                { { 0, 5, MM_PAGE_PRESENT }, ANON | LRU, ANON | LRU },
                { { 0, 5, MM_PAGE_PRESENT | MM_PAGE_FILE }, LRU, LRU | FILE_BIT },
                { { 0, 5, MM_PAGE_PRESENT | MM_PAGE_EXCLUSIVE }, ANON, ANON | EXCLUSIVE },
                { { 0, 0, MM_PAGE_SWAPPED }, 0, BIT(MM_FLAG_SWAP) },
                { { 0, 5, MM_PAGE_PRESENT | MM_PAGE_ZERO }, 0, BIT(KPF_ZERO_PAGE) },
                /* For kernel developers. */
                { { 0, 5, MM_PAGE_PRESENT }, ANON | BIT(33) | BIT(61) | BIT(63), ANON },
                { { 0, 5, MM_PAGE_PRESENT }, ANON | BIT(KPF_THP) | BIT(KPF_COMPOUND_HEAD),
                  ANON | BIT(KPF_THP) },
                { { 0, 5, MM_PAGE_PRESENT }, BIT(KPF_HUGE) | BIT(KPF_COMPOUND_TAIL),
                  BIT(KPF_HUGE) | BIT(KPF_COMPOUND_TAIL) },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
                g_assert_cmphex(mm_flags_of_page(&table[i].page, table[i].word), ==, table[i].flags);
}

/* page-types' own table of what a condition means, and more of each kind. */
static void test_match(void)
{
        static const struct {
                const char *text;
                uint64_t flags;
                bool match;
        } table[] = {
                { "anonymous", ANON | LRU, true },
                { "anon", ANON | LRU, true },
                { "an", LRU, false },
                { "anon,lru", ANON, true },
                { "anon,lru", LRU | KSM, true },
                { "anon,lru", KSM, false },
                { "anon,~swapbacked", ANON, true },
                { "anon,~swapbacked", ANON | LRU, true },
                { "anon,~swapbacked", ANON | SWAPBACKED, false },
                { "anon,~swapbacked", LRU, false },
                { "anon,lru,!ksm", ANON | LRU, true },
                { "anon,lru,!ksm", ANON, false },
                { "~lru", 0, true },
                { "~lru,~ksm", ANON, true },
                { "~lru,~ksm", ANON | KSM, false },
                { "anon,lru=lru", LRU | KSM, true },
                { "anon,lru=lru", LRU | ANON, false },
                { "anon,lru=lru", KSM, false },
                { "anon,lru=", KSM, true },
                { "anon,lru=", KSM | LRU, false },
                { "anon,lru=anon,lru", KSM | LRU | ANON, true },
                { "=anon,lru", ANON | LRU, true },
                { "=anon,lru", ANON | LRU | KSM, false },
                { "=anon,lru", ANON, false },
                { "=", 0, true },
                { "=", EXCLUSIVE, false },
                { "0x1020", LRU, true },
                { "0x1020", KSM, false },
                { "0x1020=0x20", LRU, true },
                { "0x1020=0x20", LRU | ANON, false },
                { "swap", BIT(MM_FLAG_SWAP), true },
                { "swap", SWAPBACKED, false },
                { "mmap", EXCLUSIVE, false },
                { "0xFFFFFFFFFFFFFFFF", EXCLUSIVE, true },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
                struct mm_flag_error error;
                struct mm_flag_filter f;

                g_test_message("%s on %" G_GINT64_MODIFIER "x", table[i].text, table[i].flags);
                g_assert_cmpint(mm_flag_filter_parse(table[i].text, &f, &error), ==, 0);
                g_assert_cmpint(mm_flag_filter_match(&f, table[i].flags), ==, table[i].match);
        }
}

static void test_errors(void)
{
        static const struct {
                const char *text;
                size_t at, n;
                const char *what;
        } table[] = {
                { "", 0, 0, "a flag is missing" },
                { "anon,", 5, 0, "a flag is missing" },
                { ",anon", 0, 0, "a flag is missing" },
                { "anon,,lru", 5, 0, "a flag is missing" },
                { "~", 1, 0, "a flag is missing" },
                { "anon,~~lru", 6, 4, "no such flag" },
                { "anon,purple,lru", 5, 6, "no such flag" },
                { "anon, lru", 5, 4, "no such flag" },
                { "ANON", 0, 4, "no such flag" },
                { "lru,swapb,swa", 10, 3, "more than one flag begins so" },
                { "re", 0, 2, "more than one flag begins so" },
                { "0x", 0, 2, "not a number of up to 64 bits" },
                { "lru,0x1g", 4, 4, "not a number of up to 64 bits" },
                { "0x12345678901234567", 0, 19, "not a number of up to 64 bits" },
                { "12", 0, 2, "no such flag" },
                { "anon,~lru=anon", 5, 1, "not together with \"=\"" },
                { "anon=~lru", 5, 1, "not together with \"=\"" },
                { "=!lru", 1, 1, "not together with \"=\"" },
                { "anon=anon=anon", 9, 1, "one \"=\" is enough" },
                { "==", 1, 0, "a flag is missing" },
                { "anon,lru=lru,ksm", 9, 7, "not among those before \"=\"" },
                { "anon,lru,~anon", 10, 4, "both with and without \"~\"" },
                { "~anon,lru,anon", 10, 4, "both with and without \"~\"" },
        };
        g_autofree char *longest = g_strnfill(MM_FLAG_TEXT_MAX, ',');
        struct mm_flag_filter f = { .mask = 77 };
        struct mm_flag_error error;

        for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
                g_test_message("%s", table[i].text);
                g_assert_cmpint(mm_flag_filter_parse(table[i].text, &f, &error), ==, -EINVAL);
                g_assert_cmpstr(error.what, ==, table[i].what);
                g_assert_cmpuint(error.at, ==, table[i].at);
                g_assert_cmpuint(error.n, ==, table[i].n);
                g_assert_cmphex(f.mask, ==, 77);
        }
        g_assert_cmpint(mm_flag_filter_parse(longest, &f, &error), ==, -EINVAL);
        g_assert_cmpstr(error.what, ==, "too long");
}

static struct mm_seen seen_page(uint64_t number, uint64_t frame, uint64_t count, uint64_t flags)
{
        return (struct mm_seen) {
                .page = { number * MM_PAGE_SIZE, frame,
                          frame == 0 ? MM_PAGE_SWAPPED
                                     : MM_PAGE_PRESENT | (count == 1 ? MM_PAGE_EXCLUSIVE : 0) },
                .count = count,
                .flags = flags,
        };
}

static void test_runs(void)
{
        const struct mm_seen pages[] = {
                seen_page(1, 100, 1, ANON), seen_page(2, 101, 1, ANON), seen_page(3, 102, 1, ANON),
                seen_page(4, 104, 1, ANON),       /* another frame */
                seen_page(5, 105, 2, ANON),       /* another count */
                seen_page(6, 106, 2, ANON | LRU), /* another flag */
                seen_page(8, 108, 2, ANON | LRU), /* not the next page */
                seen_page(9, 0, 0, 0), seen_page(10, 0, 0, 0), /* swapped out */
        };
        static const struct mm_run expected[] = {
                { 0x1000, 3, 100, 1, ANON | EXCLUSIVE }, { 0x4000, 1, 104, 1, ANON | EXCLUSIVE },
                { 0x5000, 1, 105, 2, ANON },             { 0x6000, 1, 106, 2, ANON | LRU },
                { 0x8000, 1, 108, 2, ANON | LRU },       { 0x9000, 2, 0, 0, BIT(MM_FLAG_SWAP) },
        };
        struct mm_run runs[G_N_ELEMENTS(pages)] = {}, run;
        struct mm_run_filter f = {};
        size_t n = 0;

        for (size_t i = 0; i < G_N_ELEMENTS(pages); i++) {
                g_assert_true(mm_run_of(&f, &pages[i], &run));
                if (n == 0 || !mm_run_join(&runs[n - 1], &run))
                        runs[n++] = run;
        }
        g_assert_cmpuint(n, ==, G_N_ELEMENTS(expected));
        g_assert_cmpmem(runs, n * sizeof(*runs), expected, sizeof(expected));

        /* Nothing follows nothing. */
        run = (struct mm_run) {};
        g_assert_false(mm_run_join(&run, &(struct mm_run) {}));
}

static void test_filter(void)
{
        struct mm_flag_filter flags[] = { { .mask = ANON | LRU, .any = true }, { .mask = KSM } };
        struct mm_run_filter f = { .flags = flags, .n_flags = 2 };
        struct mm_seen page = seen_page(7, 100, 3, ANON | KSM);
        struct mm_run run = {};

        g_assert_false(mm_run_of(&f, &page, &run));
        page.flags = LRU;
        g_assert_true(mm_run_of(&f, &page, &run));
        g_assert_cmphex(run.flags, ==, LRU);
        g_assert_cmpuint(run.count, ==, 3);
        page.flags = 0;
        g_assert_false(mm_run_of(&f, &page, &run));

        /* What is not told is not there to be asked for either. */
        f.reduced = true;
        page.flags = LRU;
        g_assert_false(mm_run_of(&f, &page, &run));
        f.n_flags = 0;
        g_assert_true(mm_run_of(&f, &page, &run));
        g_assert_cmphex(run.flags, ==, 0);
        g_assert_cmpuint(run.frame, ==, 0);
        g_assert_cmpuint(run.count, ==, 0);
        page = seen_page(7, 100, 1, ANON | LRU);
        g_assert_true(mm_run_of(&f, &page, &run));
        g_assert_cmphex(run.flags, ==, EXCLUSIVE);
        g_assert_cmpuint(run.frame, ==, 0);
        g_assert_cmpuint(run.count, ==, 1);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/page-flags/names", test_names);
        g_test_add_func("/page-flags/of-page", test_of_page);
        g_test_add_func("/page-flags/match", test_match);
        g_test_add_func("/page-flags/errors", test_errors);
        g_test_add_func("/page-flags/runs", test_runs);
        g_test_add_func("/page-flags/filter", test_filter);
        return g_test_run();
}
