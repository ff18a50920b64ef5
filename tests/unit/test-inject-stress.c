/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Injection at its worst moments; needs root. The one argument says how many injections each of the
 * long tests makes. */
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "inject-busy.h"
#include "inject-spin.h"
#include "inject-target.h"
#include "lib/inject-trace.h"

#define COUNT_DEFAULT 150U
#define STEPS_MAX 1000U

static unsigned count = COUNT_DEFAULT;
static const enum spin_tiles tiles_now = SPIN_TILES_NOW, tiles_before = SPIN_TILES_BEFORE;

/* What the injector does at its steps; it is a fork of this process and has its own copy. */
static unsigned steps_left;
static bool *sent; /* shared: the step was reached */
static pid_t victim;
static int victim_signal;

static void die_at_step(void)
{
        if (steps_left-- == 0)
                kill(getpid(), SIGKILL);
}

static void signal_at_step(void)
{
        if (steps_left-- == 0) {
                *sent = true;
                kill(victim, victim_signal);
        }
}

/* Without what was to happen at a step it has to succeed. */
static bool was_sent(enum mm_inject_result result)
{
        if (!*sent)
                target_assert_result(result, MM_INJECT_OK);
        return *sent;
}

/* One injection during which the victim gets its signal at the step; false if there is no such step. */
static bool advise_signalled(const struct target *t, int signal, unsigned step, enum mm_inject_result *ret)
{
        victim = t->pid;
        victim_signal = signal;
        steps_left = step;
        *sent = false;
        mm_inject_step_hook = signal_at_step;
        *ret = target_advise(t, MADV_MERGEABLE, 1, 2);
        mm_inject_step_hook = NULL;
        return was_sent(*ret);
}

/* At any moment of the next milliseconds, not at a step. */
static void die_by_timer(void)
{
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
        struct itimerspec when = { .it_value.tv_nsec = 1 + g_random_int_range(0, 1500000) };
        timer_t timer;

        mm_inject_step_hook = NULL;
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 || timer_settime(timer, 0, &when, NULL) < 0)
                abort();
}

/* One injection whose injector is killed. True if it came to its end all the same. */
static bool advise_killed(const struct target *t, void (*hook)(void))
{
        enum mm_inject_result result;

        mm_inject_step_hook = hook;
        result = target_advise(t, g_random_boolean() ? MADV_MERGEABLE : MADV_UNMERGEABLE, 1,
                               TARGET_PAGES - 1);
        mm_inject_step_hook = NULL;
        target_expect_well(t);
        if (result != MM_INJECT_FAILED)
                target_assert_result(result, MM_INJECT_OK);
        return result == MM_INJECT_OK;
}

static void expect_usable(struct target *t)
{
        target_assert_advise(t, MADV_UNMERGEABLE, 0, TARGET_PAGES, MM_INJECT_OK);
        g_assert_cmphex(target_registered(t), ==, 0);
        target_assert_advise(t, MADV_MERGEABLE, 7, 9, MM_INJECT_OK);
        g_assert_cmphex(target_registered(t), ==, UINT64_C(3) << 7);
        target_expect_well(t);
}

/* The injector is killed at its first step, at its second, and so on until there is none left. */
static void test_killed_spin(const void *data)
{
        struct target t;
        unsigned step;

        target_start(&t, target_spin_body, data);
        for (step = 0; step < STEPS_MAX; step++) {
                uint64_t rounds = t.shared->rounds;

                steps_left = step;
                if (advise_killed(&t, die_at_step))
                        break;
                target_wait_for_rounds(&t, rounds + 2);
        }
        g_assert_cmpuint(step, >, 20);
        g_assert_cmpuint(step, <, STEPS_MAX);
        expect_usable(&t);
        target_end(&t);
}

static void test_killed_wait(const void *data)
{
        const struct wait_case *c = data;
        struct target t;
        unsigned step;

        target_start(&t, target_wait_body, c);
        t.shared->broken = 1;
        for (step = 0; step < STEPS_MAX; step++) {
                uint64_t rounds;
                bool whole;

                target_wait_for_call(&t, c->nr);
                rounds = t.shared->rounds;
                steps_left = step;
                whole = advise_killed(&t, die_at_step);
                if (c->wake) {
                        target_wait_for_call(&t, c->nr);
                        if (c->expected_broken == TARGET_NOTHING)
                                g_assert_cmpuint(t.shared->rounds, ==, rounds);
                        rounds = t.shared->rounds;
                        c->wake(&t);
                        target_wait_for_rounds(&t, rounds + 1);
                }
                if (whole)
                        break;
        }
        g_assert_cmpuint(step, >, 20);
        g_assert_cmpuint(step, <, STEPS_MAX);
        target_wait_for_call(&t, c->nr);
        t.shared->broken = 0;
        expect_usable(&t);
        target_end(&t);
}

static void test_killed_at_random(void)
{
        struct target t;
        unsigned n_whole = 0;

        target_start(&t, target_spin_body, NULL);
        for (unsigned i = 0; i < count; i++) {
                uint64_t rounds = t.shared->rounds;

                n_whole += advise_killed(&t, die_by_timer);
                target_wait_for_rounds(&t, rounds + 1);
        }
        g_assert_cmpuint(n_whole, <, count);
        expect_usable(&t);
        target_end(&t);
}

/* Job control stops the target at each step. It must be stopped afterwards, and then go on. */
static void test_stopped_at_step(const void *data)
{
        const struct wait_case *c = data;
        struct target t;
        unsigned step;

        target_start(&t, c ? target_wait_body : target_spin_body, c);
        t.shared->broken = 1; /* by the stop alone, whether we are there or not: signal(7) */
        for (step = 0; step < STEPS_MAX; step++) {
                enum mm_inject_result result;
                uint64_t rounds;
                if (c)
                        target_wait_for_call(&t, c->nr);
                rounds = t.shared->rounds;
                if (!advise_signalled(&t, SIGSTOP, step, &result))
                        break;
                /* It may have come too late to be in the way. */
                if (result != MM_INJECT_OK)
                        target_assert_result(result, MM_INJECT_STOPPED);
                for (unsigned i = 0; target_state(&t) != 'T'; i++) {
                        g_assert_cmpuint(i, <, 5000);
                        g_usleep(1000);
                }
                g_assert_cmpint(kill(t.pid, SIGCONT), ==, 0);
                if (c) {
                        target_wait_for_call(&t, c->nr);
                        if (c->expected_broken == TARGET_NOTHING)
                                g_assert_cmpuint(t.shared->rounds, ==, rounds);
                        rounds = t.shared->rounds;
                        c->wake(&t);
                        target_wait_for_rounds(&t, rounds + 1);
                } else
                        target_wait_for_rounds(&t, rounds + 2);
        }
        g_assert_cmpuint(step, >, 20);
        g_assert_cmpuint(step, <, STEPS_MAX);
        if (c)
                target_wait_for_call(&t, c->nr);
        t.shared->broken = 0;
        expect_usable(&t);
        target_end(&t);
}

static void test_target_killed_at_step(void)
{
        unsigned step;

        for (step = 0; step < STEPS_MAX; step++) {
                enum mm_inject_result result;
                struct target t;
                int status;

                target_start(&t, target_spin_body, NULL);
                if (!advise_signalled(&t, SIGKILL, step, &result)) {
                        target_end(&t);
                        break;
                }
                if (result != MM_INJECT_OK)
                        target_assert_result(result, MM_INJECT_GONE);
                status = target_wait(&t);
                g_assert_true(WIFSIGNALED(status));
                g_assert_cmpint(WTERMSIG(status), ==, SIGKILL);
                target_end(&t);
        }
        g_assert_cmpuint(step, >, 20);
        g_assert_cmpuint(step, <, STEPS_MAX);
}

static void *leave_thread(void *data)
{
        struct target *t = data;

        while (!__atomic_load_n(&t->shared->stop, __ATOMIC_ACQUIRE))
                ;
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* each thread has its own, and this one stays */
        if (t->data)
                execl("/bin/sleep", "sleep", "1000", NULL);
        syscall(SYS_exit_group, 7);
        return NULL;
}

static void leave_body(struct target *t)
{
        struct target plain = *t;
        pthread_t thread;

        plain.data = NULL; /* that is the other thread's */
        pthread_create(&thread, NULL, leave_thread, t);
        target_spin_body(&plain);
}

static struct target_shared *leaver;

static void leave_at_step(void)
{
        if (steps_left-- == 0) {
                *sent = true;
                __atomic_store_n(&leaver->stop, 1, __ATOMIC_RELEASE);
                g_usleep((gulong) g_random_int_range(0, 200));
        }
}

/* Around each step another thread of the target ends it, or makes another program of it. */
static void test_target_leaves(const void *data)
{
        unsigned step;

        for (step = 0; step < STEPS_MAX; step++) {
                enum mm_inject_result result;
                struct target t;

                target_start(&t, leave_body, data);
                leaver = t.shared;
                steps_left = step;
                *sent = false;
                mm_inject_step_hook = leave_at_step;
                result = target_advise(&t, MADV_MERGEABLE, 1, 2);
                mm_inject_step_hook = NULL;
                if (!was_sent(result)) {
                        target_end(&t);
                        break;
                }
                /* It may have come too late to be in the way. */
                if (result != MM_INJECT_OK)
                        target_assert_result(result, MM_INJECT_GONE);
                if (data) {
                        target_wait_for_call(&t, SYS_clock_nanosleep);
                        g_assert_cmphex(target_registered(&t), ==, 0);
                } else
                        g_assert_cmpint(WEXITSTATUS(target_wait(&t)), ==, 7);
                target_end(&t);
        }
        g_assert_cmpuint(step, >, 20);
        g_assert_cmpuint(step, <, STEPS_MAX);
}

/* A signal with a handler at each step: it arrives, and once. */
static void test_signalled_at_step(const void *data)
{
        const struct wait_case *c = data;
        struct target t;
        unsigned step;

        target_start(&t, target_wait_body, c);
        for (step = 0; step < STEPS_MAX; step++) {
                uint64_t signals = t.shared->n_signals[SIGUSR2];
                enum mm_inject_result result;

                target_wait_for_call(&t, c->nr);
                if (!advise_signalled(&t, SIGUSR2, step, &result))
                        break;
                target_assert_result(result, MM_INJECT_OK);
                for (unsigned i = 0; t.shared->n_signals[SIGUSR2] == signals; i++) {
                        g_assert_cmpuint(i, <, 100000);
                        g_usleep(100);
                }
                target_wait_for_call(&t, c->nr);
                g_assert_cmpuint(t.shared->n_signals[SIGUSR2], ==, signals + 1);
        }
        g_assert_cmpuint(step, >, 20);
        g_assert_cmpuint(step, <, STEPS_MAX);
        g_assert_cmpuint(t.shared->rounds, ==, 0);
        target_wait_for_call(&t, c->nr);
        c->wake(&t);
        target_wait_for_rounds(&t, 1);
        expect_usable(&t);
        target_end(&t);
}

static void print_stops(const char *what, uint64_t *stops, unsigned n)
{
        for (unsigned i = 1; i < n; i++)
                for (unsigned j = i; j > 0 && stops[j - 1] > stops[j]; j--) {
                        uint64_t v = stops[j];

                        stops[j] = stops[j - 1];
                        stops[j - 1] = v;
                }
        g_test_message("%s: held at most %" G_GUINT64_FORMAT " us (median), %" G_GUINT64_FORMAT
                       " us (99 %%), %" G_GUINT64_FORMAT " us (most)",
                       what, stops[n / 2], stops[n - 1 - n / 100], stops[n - 1]);
}

/* Threads that use futexes, timers, pipes, epoll and signals as fast as they can, and check all of it. */
static void busy(bool kill_injectors)
{
        g_autofree uint64_t *stops = g_new0(uint64_t, count);
        struct target t;
        unsigned n_stops = 0;

        busy_start(&t, kill_injectors);
        for (unsigned i = 0; i < count; i++) {
                uint64_t first = (uint64_t) (uintptr_t) t.pages, stop_usec = 0;
                unsigned from = (unsigned) g_random_int_range(0, TARGET_PAGES - 1);
                struct mm_advice a = {
                        .start = first + from * TARGET_PAGE,
                        .end = first + (uint64_t) g_random_int_range((gint32) from + 1, TARGET_PAGES + 1) *
                                               TARGET_PAGE,
                        .advice = i % 2 == 0 ? MADV_MERGEABLE : MADV_UNMERGEABLE,
                };
                enum mm_inject_result result;

                if (kill_injectors && i % 2 == 0) {
                        mm_inject_step_hook = i % 4 == 0 ? die_by_timer : die_at_step;
                        steps_left = (unsigned) g_random_int_range(0, 80);
                }
                result = mm_inject_advise(&t.process, &a, 1, 10000, NULL, &stop_usec);
                if (!mm_inject_step_hook || result != MM_INJECT_FAILED) {
                        target_assert_result(result, MM_INJECT_OK);
                        g_assert_cmpint(a.status, ==, 0);
                        stops[n_stops++] = stop_usec;
                }
                mm_inject_step_hook = NULL;
                target_expect_well(&t);
        }
        busy_finish(&t);
        print_stops(kill_injectors ? "busy target, killed injectors" : "busy target", stops, n_stops);
        target_end(&t);
}

static void test_busy(void)
{
        busy(false);
}

static void test_busy_killed(void)
{
        busy(true);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        if (argc > 1)
                count = (unsigned) MAX(4, atoi(argv[1]));
        sent = mmap(NULL, sizeof(*sent), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        g_assert_true(sent != MAP_FAILED);

        g_test_add_data_func("/inject-stress/killed/spin", NULL, test_killed_spin);
        g_test_add_data_func("/inject-stress/killed/tiles", &tiles_now, test_killed_spin);
        g_test_add_data_func("/inject-stress/killed/tiles-before", &tiles_before, test_killed_spin);
        g_test_add_func("/inject-stress/killed/at-random", test_killed_at_random);
        g_test_add_data_func("/inject-stress/stopped/spin", NULL, test_stopped_at_step);
        for (size_t i = 0; i < n_wait_cases; i++) {
                const struct wait_case *c = &wait_cases[i];
                g_autofree char *killed = g_strconcat("/inject-stress/killed/", c->name, NULL);
                g_autofree char *stopped = g_strconcat("/inject-stress/stopped/", c->name, NULL);
                g_autofree char *signalled = g_strconcat("/inject-stress/signalled/", c->name, NULL);

                g_test_add_data_func(killed, c, test_killed_wait);
                if (c->wake)
                        g_test_add_data_func(stopped, c, test_stopped_at_step);
                if (c->restarts)
                        g_test_add_data_func(signalled, c, test_signalled_at_step);
        }
        g_test_add_func("/inject-stress/target-killed", test_target_killed_at_step);
        g_test_add_data_func("/inject-stress/target-exits", NULL, test_target_leaves);
        g_test_add_data_func("/inject-stress/target-executes", "", test_target_leaves);
        g_test_add_func("/inject-stress/busy", test_busy);
        g_test_add_func("/inject-stress/busy-killed", test_busy_killed);
        return g_test_run();
}
