/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "children.h"
#include "client.h"
#include "frames.h"
#include "shared/macro.h"

/* Targets in states where they must be left alone, beside others that are served all the same. */

#define PAGES 100U

static struct harness h;

/* Two good ones and a third; each with the same pages. */
static void start(struct child **c, pid_t *pids)
{
        children_start(&h, UID_FIRST, c, pids, 3);
        for (size_t i = 0; i < 3; i++)
                child_area(c[i], PAGES, 81, 1);
}

/* The third is skipped, for @reason; the others are merged and undone. */
static void merge_without_third(struct child **c, const pid_t *pids, const char *reason)
{
        size_t before = frames_distinct(pids, 2);
        char *job = job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 3 });

        g_assert_cmpuint(job_reason(h.bus, job, "skipped", reason), ==, 1);
        g_assert_true(frames_is_registered(pids[0]));
        g_assert_true(frames_is_registered(pids[1]));
        frames_assert_unregistered(pids[2]);
        g_assert_cmpuint(before - frames_distinct(pids, 2), >=, PAGES);
        g_free(job);
        children_verify(c, 2);
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids, .n_pids = 2 }));
        frames_assert_unregistered(pids[0]);
}

static void test_traced(void)
{
        struct child *c[3];
        pid_t pids[3];

        start(c, pids);
        g_assert_cmpint(ptrace(PTRACE_SEIZE, pids[2], 0, 0), ==, 0);
        merge_without_third(c, pids, "traced");
        child_verify(c[2]);
        /* Still ours: nobody else took the place. */
        g_assert_cmpint(ptrace(PTRACE_INTERRUPT, pids[2], 0, 0), ==, 0);
        g_assert_cmpint(waitpid(pids[2], NULL, __WALL), ==, pids[2]);
        g_assert_cmpint(ptrace(PTRACE_DETACH, pids[2], 0, 0), ==, 0);
        children_verify(c, 3);
        children_end(c, 3);
}

static void test_seccomp(void)
{
        struct child *c[3];
        pid_t pids[3];

        start(c, pids);
        child_say(c[2], "seccomp");
        merge_without_third(c, pids, "seccomp");
        children_verify(c, 3);
        children_end(c, 3);
}

static char state_of(pid_t pid)
{
        char *path = g_strdup_printf("/proc/%d/stat", (int)pid), *text, state;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        state = strrchr(text, ')')[2];
        g_free(text);
        g_free(path);
        return state;
}

static void test_stopped(void)
{
        struct child *c[3];
        pid_t pids[3];

        start(c, pids);
        g_assert_cmpint(kill(pids[2], SIGSTOP), ==, 0);
        merge_without_third(c, pids, "stopped");
        /* It is as it was: still stopped, and wakes up for SIGCONT alone. */
        g_assert_cmpint(state_of(pids[2]), ==, 'T');
        g_assert_cmpint(kill(pids[2], SIGCONT), ==, 0);
        children_verify(c, 3);
        children_end(c, 3);
}

static void test_gone_meanwhile(void)
{
        struct child *c[3];
        pid_t pids[3];

        for (unsigned i = 0; i < test_rounds(8); i++) {
                char *job;

                start(c, pids);
                job = job_start(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 3 });
                g_usleep(g_random_int_range(0, 20000));
                c[2] = child_end(c[2]);
                g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
                g_free(job);
                children_verify(c, 2);
                job_undo(h.bus, &(struct what){ .pids = pids, .n_pids = 2 });
                children_end(c, 2);
        }
}

static void test_exec_meanwhile(void)
{
        struct child *c[3];
        pid_t pids[3];

        for (unsigned i = 0; i < test_rounds(8); i++) {
                char *job, *answer;

                start(c, pids);
                job = job_start(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 3 });
                g_usleep(g_random_int_range(0, 20000));
                child_send(c[2], "exec");
                answer = child_hear(c[2], 20000);
                g_assert_cmpstr(answer, ==, "ok ready");
                g_free(answer);
                g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
                g_free(job);
                child_area(c[2], 10, 3, 1);
                children_verify(c, 3);
                job_undo(h.bus, &(struct what){ .pids = pids, .n_pids = 3 });
                children_end(c, 3);
        }
}

/* A thousand processes come and go while their program is looked at. */
static void test_churn(void)
{
        struct child *c[3];
        pid_t pids[3];
        unsigned scans = 0;
        char *answer;

        start(c, pids);
        child_send(c[0], "churn 1000");
        for (uint64_t end = now_usec() + 60000000; now_usec() < end; scans++) {
                struct timeval none = { 0 };
                fd_set set;
                char *job = job_run(h.bus, scans % 4 == 3 ? "Merge" : "Estimate",
                                    &(struct what){ .exe = h.target });

                g_assert_cmpuint(job_figure(h.bus, job, "processes"), >=, 2);
                g_free(job);
                FD_ZERO(&set);
                FD_SET(c[0]->out, &set);
                if (select(c[0]->out + 1, &set, NULL, NULL, &none) > 0)
                        break;
        }
        answer = child_hear(c[0], 60000);
        g_assert_cmpstr(answer, ==, "ok");
        g_free(answer);
        g_test_message("%u scans", scans);
        g_assert_cmpuint(scans, >, 0);
        job_undo(h.bus, &(struct what){ .exe = h.target });
        children_verify(c, 3);
        children_end(c, 3);
}

/* Merges or unmerges both. On a busy machine a thread may not stop in time, and is left alone then. */
static void change_both(pid_t *pids, bool merges)
{
        for (unsigned attempts = 5; attempts > 0; attempts--) {
                char *job = job_run(h.bus, merges ? "Merge" : "Unmerge",
                                    &(struct what){ .pids = pids, .n_pids = 2 });

                g_free(job);
                if (frames_is_registered(pids[0]) == merges && frames_is_registered(pids[1]) == merges)
                        return;
        }
        g_assert_not_reached();
}

/* Injection into a program that does everything at once, again and again. */
static void test_threads(void)
{
        struct child *c[2];
        pid_t pids[2];
        unsigned rounds = test_rounds(20);

        children_start(&h, UID_FIRST, c, pids, 2);
        for (size_t i = 0; i < 2; i++) {
                child_area(c[i], PAGES, 91, 1);
                child_say(c[i], "threads");
        }
        for (unsigned i = 0; i < rounds; i++) {
                change_both(pids, i % 2 == 0);
                for (size_t k = 0; k < 2; k++) {
                        char *answer = child_ask(c[k], "threads-check");

                        g_test_message("%s", answer);
                        g_free(answer);
                }
        }
        children_verify(c, 2);
        job_undo(h.bus, &(struct what){ .pids = pids, .n_pids = 2 });
        children_end(c, 2);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/faults/traced", test_traced);
        g_test_add_func("/faults/seccomp", test_seccomp);
        g_test_add_func("/faults/stopped", test_stopped);
        g_test_add_func("/faults/gone-meanwhile", test_gone_meanwhile);
        g_test_add_func("/faults/exec-meanwhile", test_exec_meanwhile);
        g_test_add_func("/faults/churn", test_churn);
        g_test_add_func("/faults/threads", test_threads);
        status = g_test_run();
        return harness_end(&h, status);
}
