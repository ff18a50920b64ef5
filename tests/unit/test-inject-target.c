/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Injection into children; needs root. Memory is only registered with KSM, which need not run. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "inject-target.h"
#include "lib/inject-trace.h"

static void test_wait(const void *data)
{
        const struct wait_case *c = data;
        struct target t;

        target_start(&t, target_wait_body, c);
        for (unsigned round = 1; round <= 3; round++) {
                target_wait_for_call(&t, c->nr);
                target_advise_and_check(&t);
                target_expect_well(&t);
                g_assert_cmpuint(t.shared->rounds, ==, round - 1);
                target_wait_for_call(&t, c->nr);
                c->wake(&t);
                target_wait_for_rounds(&t, round);
        }
        if (c->wake && c->expected == -EINTR)
                g_assert_cmpuint(t.shared->n_signals[SIGUSR1], ==, 3);
        target_end(&t);
}

/* Interrupts a call with a timeout in its second half and sees whether it takes the time that it
 * would have taken. False: it was over too soon to tell, or so late that the machine may be busy. */
static bool interrupt_late(struct target *t)
{
        const struct wait_case *c = t->data;
        uint64_t rounds;

        target_wait_for_call(t, c->nr);
        rounds = t->shared->rounds;
        while (g_get_monotonic_time() - t->shared->begin_usec < c->usec * 6 / 10)
                g_usleep(5000);
        target_assert_advise(t, MADV_MERGEABLE, 0, 1, MM_INJECT_OK);
        target_assert_advise(t, MADV_UNMERGEABLE, 0, 1, MM_INJECT_OK);
        if (t->shared->rounds != rounds)
                return false;
        target_wait_for_rounds(t, rounds + 1);
        target_expect_well(t);
        return c->longer || t->shared->last_usec < c->usec * 15 / 10;
}

static gpointer timed_thread(gpointer data)
{
        for (unsigned i = 0; i < 10; i++)
                if (interrupt_late(data))
                        return NULL;
        g_error("%s took %" G_GINT64_FORMAT " us",
                ((const struct wait_case *) ((struct target *) data)->data)->name,
                ((struct target *) data)->shared->last_usec);
}

/* All at once, as each takes its time. */
static void test_timed(void)
{
        g_autofree struct target *targets = g_new0(struct target, n_wait_cases);
        g_autofree GThread **threads = g_new0(GThread *, n_wait_cases);

        for (size_t i = 0; i < n_wait_cases; i++)
                if (!wait_cases[i].wake)
                        target_start(&targets[i], target_wait_body, &wait_cases[i]);
        for (size_t i = 0; i < n_wait_cases; i++)
                if (!wait_cases[i].wake)
                        threads[i] = g_thread_new("timed", timed_thread, &targets[i]);
        for (size_t i = 0; i < n_wait_cases; i++)
                if (!wait_cases[i].wake) {
                        g_thread_join(threads[i]);
                        target_end(&targets[i]);
                }
}

static void test_spin(void)
{
        struct target t;

        target_start(&t, target_spin_body, NULL);
        for (unsigned i = 0; i < 30; i++)
                target_advise_and_check(&t);
        target_wait_for_rounds(&t, t.shared->rounds + 2);
        target_end(&t);
}

static void test_ranges(void)
{
        struct target t;
        struct mm_advice advices[4] = { 0 };
        uint64_t first, stop_usec = 0;
        int error = 1;

        target_start(&t, target_pause_body, NULL);
        first = (uint64_t) (uintptr_t) t.pages;
        advices[0] = (struct mm_advice) { first, first + 2 * TARGET_PAGE, MADV_MERGEABLE, 0, 0 };
        /* Across the guard, that one may be advised too, and beyond it. */
        advices[1] = (struct mm_advice){ first + 62 * TARGET_PAGE, first + 64 * TARGET_PAGE, MADV_MERGEABLE,
                                         0, 0 };
        advices[2] = (struct mm_advice) { TARGET_PAGE, 3 * TARGET_PAGE, MADV_MERGEABLE, 0, 0 };
        advices[3] = (struct mm_advice){ (uint64_t) (uintptr_t) t.shared,
                                         (uint64_t) (uintptr_t) t.shared + TARGET_PAGE, MADV_MERGEABLE, 0,
                                         0 };
        g_assert_cmpint(mm_inject_advise(&t.process, advices, 4, 10000, &error, &stop_usec), ==,
                        MM_INJECT_OK);
        g_assert_cmpint(error, ==, 0);
        g_assert_cmpuint(stop_usec, >, 0);
        g_assert_cmpuint(stop_usec, <, G_USEC_PER_SEC / 10);
        g_assert_cmpint(advices[0].status, ==, 0);
        g_assert_cmpint(advices[1].status, ==, 0);
        g_assert_cmpint(advices[2].status, ==, -ENOMEM); /* nobody lives there */
        g_assert_cmpint(advices[2].done, ==, 0);
        g_assert_cmpint(advices[3].status, ==, -EAGAIN); /* shared memory */
        g_assert_cmphex(target_registered(&t), ==, UINT64_C(3) | UINT64_C(3) << 62);

        g_assert_cmpint(mm_inject_advise(&t.process, NULL, 0, 10000, NULL, NULL), ==, MM_INJECT_OK);
        target_end(&t);
}

/* Not a byte below the stack is other than before either: who knows what lives there. */
static void test_stack(void)
{
        enum { SIZE = 32 * 1024 };
        g_autofree char *before = g_malloc(SIZE), *after = g_malloc(SIZE), *path = NULL;
        uint64_t sp;
        struct target t;
        int fd;

        target_start(&t, target_pause_body, NULL);
        target_wait_for_call(&t, SYS_pause);
        sp = target_stack_pointer(&t);
        path = g_strdup_printf("/proc/%d/mem", t.pid);
        fd = open(path, O_RDWR | O_CLOEXEC);
        g_assert_cmpint(fd, >=, 0);
        for (size_t i = 0; i < SIZE; i++)
                before[i] = (char) g_random_int();
        g_assert_cmpint(pread(fd, before + SIZE - 128, 128, (off_t) sp - 128), ==,
                        128); /* the red zone is in use */
        g_assert_cmpint(pwrite(fd, before, SIZE, (off_t) sp - SIZE), ==, SIZE);
        target_advise_and_check(&t);
        target_wait_for_call(&t, SYS_pause);
        g_assert_cmphex(target_stack_pointer(&t), ==, sp);
        g_assert_cmpint(pread(fd, after, SIZE, (off_t) sp - SIZE), ==, SIZE);
        g_assert_cmpmem(before, SIZE, after, SIZE);
        safe_close(fd);
        target_end(&t);
}

static void test_bad_advice(void)
{
        struct target t;
        int error = 0;

        target_start(&t, target_pause_body, NULL);
        for (unsigned i = 0; i < 4; i++) {
                uint64_t first = (uint64_t) (uintptr_t) t.pages;
                struct mm_advice a = { first, first + TARGET_PAGE, MADV_MERGEABLE, 0, 0 };

                switch (i) {
                case 0:
                        a.advice = MADV_DONTNEED;
                        break;
                case 1:
                        a.start++;
                        break;
                case 2:
                        a.end += 100;
                        break;
                case 3:
                        a.end = a.start;
                        break;
                }
                error = 0;
                g_assert_cmpint(mm_inject_advise(&t.process, &a, 1, 1000, &error, NULL), ==,
                                MM_INJECT_FAILED);
                g_assert_cmpint(error, ==, -EINVAL);
        }
        target_end(&t);
}

static void hang(void)
{
        static unsigned steps;

        if (++steps == 12) /* in the middle of the hold */
                for (;;)
                        pause();
}

/* The kernel may keep an injector waiting. Its caller does not wait for it, nor does the target. */
static void test_hang(void)
{
        gint64 begin = g_get_monotonic_time();
        struct mm_advice a;
        struct target t;

        target_start(&t, target_spin_body, NULL);
        a = (struct mm_advice){ (uint64_t) (uintptr_t) t.pages, (uint64_t) (uintptr_t) t.pages + TARGET_PAGE,
                                MADV_MERGEABLE, 0, 0 };
        mm_inject_step_hook = hang;
        g_assert_cmpint(mm_inject_advise(&t.process, &a, 1, 100, NULL, NULL), ==, MM_INJECT_STOPPED);
        mm_inject_step_hook = NULL;
        g_assert_cmpint(g_get_monotonic_time() - begin, <, 2 * G_USEC_PER_SEC);
        g_assert_cmpint(a.status, ==, 1);

        target_wait_for_rounds(&t, t.shared->rounds + 1000); /* the injector's own alarm lets it go */
        target_assert_advise(&t, MADV_UNMERGEABLE, 0, TARGET_PAGES, MM_INJECT_OK);
        target_advise_and_check(&t);
        g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, 0); /* nothing but the target is left to wait for */
        target_end(&t);
}

static int n_children_seen;

static void count_children(int signal)
{
        n_children_seen++;
}

/* A caller's own children are still there to be waited for, also if it takes no interest in them. */
static void test_caller(void)
{
        struct sigaction action = { .sa_handler = count_children }, ignore = { .sa_handler = SIG_IGN },
                         before;
        struct target t;
        int status;
        pid_t pid;

        target_start(&t, target_pause_body, NULL);
        g_assert_cmpint(sigaction(SIGCHLD, &action, &before), ==, 0);
        pid = fork();
        if (pid == 0)
                _exit(42);
        target_advise_and_check(&t);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_cmpint(WEXITSTATUS(status), ==, 42);
        g_assert_cmpint(waitpid(-1, &status, WNOHANG), ==, 0); /* only the target is left */

        g_assert_cmpint(sigaction(SIGCHLD, &ignore, NULL), ==, 0);
        target_advise_and_check(&t);
        g_assert_cmpint(sigaction(SIGCHLD, &before, NULL), ==, 0);
        target_expect_well(&t);
        target_end(&t);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < n_wait_cases; i++)
                if (wait_cases[i].wake) {
                        g_autofree char *name = g_strconcat("/inject/wait/", wait_cases[i].name, NULL);

                        g_test_add_data_func(name, &wait_cases[i], test_wait);
                }
        g_test_add_func("/inject/wait/timed", test_timed);
        g_test_add_func("/inject/spin", test_spin);
        g_test_add_func("/inject/ranges", test_ranges);
        g_test_add_func("/inject/stack", test_stack);
        g_test_add_func("/inject/bad-advice", test_bad_advice);
        g_test_add_func("/inject/hang", test_hang);
        g_test_add_func("/inject/caller", test_caller);
        return g_test_run();
}
