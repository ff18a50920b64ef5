/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/backoff.h"

#define LIMIT (1U << BACKOFF_LEVEL_MAX)

static struct backoff_process process(pid_t pid)
{
        return (struct backoff_process) {
                .pid = pid, .start_ticks = 1000, .family = 7, .size_bytes = 8000000
        };
}

/* Looks whenever that is due, up to @end; the rounds it was, in order. */
static GArray *look(struct backoff *b, const struct backoff_process *p, uint64_t from, uint64_t end,
                    bool gains)
{
        GArray *rounds = g_array_new(FALSE, FALSE, sizeof(uint64_t));

        for (uint64_t round = from; round < end; round++)
                if (backoff_due(b, p, round)) {
                        g_array_append_val(rounds, round);
                        g_assert_cmpint(backoff_looked(b, p, round, gains), ==, 0);
                }
        return rounds;
}

static void test_halves(void)
{
        static const uint64_t expected[] = { 0, 2, 4, 8, 16, 32, 64, 128, 192, 256, 320 };
        struct backoff_process p = process(1);
        struct backoff b = {};
        g_autoptr(GArray) rounds = look(&b, &p, 0, 384, false);

        g_assert_cmpuint(rounds->len, ==, G_N_ELEMENTS(expected));
        for (guint i = 0; i < rounds->len; i++)
                g_assert_cmpuint(g_array_index(rounds, uint64_t, i), ==, expected[i]);
        backoff_done(&b);
}

static void test_gains(void)
{
        struct backoff_process p = process(1);
        struct backoff b = {};
        g_autoptr(GArray) gaining = look(&b, &p, 0, 50, true), idle = look(&b, &p, 50, 500, false), again;

        g_assert_cmpuint(gaining->len, ==, 50);
        g_assert_cmpuint(idle->len, <, 16);
        /* One gain, and it is as before. */
        g_assert_cmpint(backoff_looked(&b, &p, 500, true), ==, 0);
        again = look(&b, &p, 501, 511, true);
        g_assert_cmpuint(again->len, ==, 10);
        backoff_done(&b);
}

/* However different the rounds in which they came, those without gain meet. */
static void test_aligned(void)
{
        struct backoff b = {};

        for (pid_t pid = 1; pid <= 100; pid++) {
                struct backoff_process p = process(pid);
                g_autoptr(GArray) rounds = look(&b, &p, (uint64_t) pid * 3, 1000, false);

                g_assert_cmpuint(g_array_index(rounds, uint64_t, rounds->len - 1) % LIMIT, ==, 0);
        }
        backoff_done(&b);
}

static void test_changes(void)
{
        static const struct {
                const char *what;
                struct backoff_process p;
                bool due;
        } cases[] = {
                { "the same", { 1, 1000, 7, 8000000 }, false },
                { "an eighth more", { 1, 1000, 7, 9000000 }, false },
                { "more", { 1, 1000, 7, 9000001 }, true },
                { "an eighth less", { 1, 1000, 7, 7000000 }, false },
                { "less", { 1, 1000, 7, 6999999 }, true },
                { "nothing left", { 1, 1000, 7, 0 }, true },
                { "another program", { 1, 1000, 8, 8000000 }, true },
                { "another process of that number", { 1, 1001, 7, 8000000 }, true },
                { "another process", { 2, 1000, 7, 8000000 }, true },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                struct backoff_process p = process(1);
                struct backoff b = {};
                g_autoptr(GArray) rounds = look(&b, &p, 0, 129, false);

                g_test_message("%s", cases[i].what);
                g_assert_true(backoff_due(&b, &cases[i].p, 129) == cases[i].due);
                if (cases[i].due) {
                        g_assert_cmpint(backoff_looked(&b, &cases[i].p, 129, false), ==, 0);
                        /* It begins anew. */
                        g_assert_true(backoff_due(&b, &cases[i].p, 130));
                }
                backoff_done(&b);
        }
}

static void test_wakes(void)
{
        struct backoff_process p = process(1), other = process(2), newcomer;
        struct backoff b = {};
        g_autoptr(GArray) first = NULL, second = NULL, after = NULL;

        other.family = 8;
        first = look(&b, &p, 0, 129, false);
        second = look(&b, &other, 0, 129, false);
        g_assert_false(backoff_due(&b, &p, 130));
        newcomer = (struct backoff_process) { .pid = 3, .family = 7 };
        g_assert_cmpint(backoff_wake(&b, &newcomer, 1, 130), ==, 0);
        g_assert_true(backoff_due(&b, &p, 130));
        g_assert_false(backoff_due(&b, &other, 130));
        /* Once: the rest is as before. */
        g_assert_cmpint(backoff_looked(&b, &p, 130, false), ==, 0);
        after = look(&b, &p, 131, 131 + 10 * LIMIT, false);
        g_assert_cmpuint(after->len, ==, 10);
        backoff_done(&b);
}

/* Two programs with one layout, a third without any. */
static void test_wakes_group(void)
{
        struct backoff_process p[3] = { process(1), process(2), process(3) };
        struct backoff_process newcomer = { .pid = 4, .family = 90, .group = 5 };
        struct backoff b = {};

        for (unsigned i = 0; i < G_N_ELEMENTS(p); i++) {
                g_autoptr(GArray) rounds = NULL;

                p[i].family = 80 + i;
                p[i].group = i < 2 ? 5 : 0;
                rounds = look(&b, &p[i], 0, 129, false);
        }
        g_assert_cmpint(backoff_wake(&b, &newcomer, 1, 130), ==, 0);
        g_assert_true(backoff_due(&b, &p[0], 130));
        g_assert_true(backoff_due(&b, &p[1], 130));
        g_assert_false(backoff_due(&b, &p[2], 130));
        /* No layout is none that two have in common. */
        newcomer.group = 0;
        for (unsigned i = 0; i < 2; i++)
                g_assert_cmpint(backoff_looked(&b, &p[i], 130, false), ==, 0);
        g_assert_cmpint(backoff_wake(&b, &newcomer, 1, 131), ==, 0);
        for (unsigned i = 0; i < G_N_ELEMENTS(p); i++)
                g_assert_false(backoff_due(&b, &p[i], 131));
        backoff_done(&b);
}

/* As many newcomers as a large machine has, each of a family of its own. */
static void test_wakes_many(void)
{
        enum { KNOWN = 30000, NEW = 20000 };
        g_autofree struct backoff_process *newcomers = g_new0(struct backoff_process, NEW);
        struct backoff b = {};

        for (pid_t pid = 1; pid <= KNOWN; pid++) {
                struct backoff_process p = process(pid);

                p.family = (uint64_t) pid;
                g_assert_cmpint(backoff_looked(&b, &p, 128, false), ==, 0);
        }
        for (size_t i = 0; i < NEW; i++)
                newcomers[i] = (struct backoff_process) { .pid = 4711, .family = 3 * (NEW - i) };
        g_assert_cmpint(backoff_wake(&b, newcomers, NEW, 129), ==, 0);
        for (pid_t pid = 1; pid <= KNOWN; pid++) {
                struct backoff_process p = process(pid);

                p.family = (uint64_t) pid;
                g_assert_true(backoff_due(&b, &p, 129) == (pid % 3 == 0));
        }
        g_assert_cmpint(backoff_wake(&b, NULL, 0, 0), ==, 0);
        backoff_done(&b);
        g_assert_cmpint(backoff_wake(&b, newcomers, NEW, 129), ==, 0);
}

static void test_sweep(void)
{
        struct backoff b = {};

        for (pid_t pid = 1; pid <= 1000; pid++) {
                struct backoff_process p = process(pid);

                g_assert_false(backoff_knows(&b, &p));
                g_assert_cmpint(backoff_looked(&b, &p, 5, false), ==, 0);
        }
        backoff_sweep(&b);
        g_assert_cmpuint(b.n, ==, 1000);
        for (pid_t pid = 2; pid <= 1000; pid += 2) {
                struct backoff_process p = process(pid);

                g_assert_false(backoff_due(&b, &p, 6 - 1));
        }
        backoff_sweep(&b);
        g_assert_cmpuint(b.n, ==, 500);
        for (pid_t pid = 1; pid <= 1000; pid++) {
                struct backoff_process p = process(pid);

                g_assert_true(backoff_knows(&b, &p) == (pid % 2 == 0));
        }
        backoff_sweep(&b);
        backoff_sweep(&b);
        g_assert_cmpuint(b.n, ==, 0);
        backoff_done(&b);
}

/* More than there is room for: they are looked at, and not remembered. */
static void test_bounded(void)
{
        struct backoff_process last = process(0);
        struct backoff b = {};
        int r = 0;

        for (pid_t pid = 1; pid <= (pid_t) BACKOFF_ENTRIES_MAX; pid++) {
                last = process(pid);
                r = backoff_looked(&b, &last, 1, false);
        }
        g_assert_cmpint(r, ==, -ENOBUFS);
        g_assert_cmpuint(b.n_allocated, <=, BACKOFF_ENTRIES_MAX);
        g_assert_cmpuint(b.n, ==, BACKOFF_ENTRIES_MAX / 2U);
        g_assert_true(backoff_due(&b, &last, 1));
        backoff_done(&b);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/backoff/halves", test_halves);
        g_test_add_func("/backoff/gains", test_gains);
        g_test_add_func("/backoff/aligned", test_aligned);
        g_test_add_func("/backoff/changes", test_changes);
        g_test_add_func("/backoff/wakes", test_wakes);
        g_test_add_func("/backoff/wakes-group", test_wakes_group);
        g_test_add_func("/backoff/wakes-many", test_wakes_many);
        g_test_add_func("/backoff/sweep", test_sweep);
        g_test_add_func("/backoff/bounded", test_bounded);
        return g_test_run();
}
