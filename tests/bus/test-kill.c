/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <sys/wait.h>

#include "children.h"
#include "client.h"
#include "frames.h"
#include "shared/macro.h"

/* SIGKILL to the daemon, its worker or an injector at any moment: every target goes on with its
 * data whole, and the next start puts KSM right. */

#define N 6U
#define PAGES 300U

static struct harness h;

enum victim {
        VICTIM_DAEMON,
        VICTIM_WORKER,
        VICTIM_INJECTOR,
        VICTIM_ALL,
        VICTIM_MAX_,
};

static pid_t parent_of(pid_t pid)
{
        char *path = g_strdup_printf("/proc/%d/stat", (int)pid), *text;
        int parent = 0;

        if (g_file_get_contents(path, &text, NULL, NULL)) {
                sscanf(strrchr(text, ')'), ") %*c %d", &parent);
                g_free(text);
        }
        g_free(path);
        return parent;
}

static unsigned kill_victims(enum victim victim)
{
        pid_t all[32];
        size_t n = harness_daemon_processes(&h, all, ELEMENTSOF(all));
        unsigned killed = 0;

        for (size_t i = 0; i < n; i++) {
                pid_t parent = parent_of(all[i]);
                enum victim is = all[i] == h.daemon_pid    ? VICTIM_DAEMON
                                 : parent == h.daemon_pid ? VICTIM_WORKER
                                                          : VICTIM_INJECTOR;

                if ((victim == VICTIM_ALL || is == victim) && kill(all[i], SIGKILL) == 0)
                        killed++;
        }
        return killed;
}

/* Whatever is left of the daemon's processes ends by itself. */
static void wait_alone(size_t n)
{
        pid_t all[32];

        for (uint64_t end = now_usec() + 15000000; harness_daemon_processes(&h, all, ELEMENTSOF(all)) > n;) {
                g_assert_cmpuint(now_usec(), <, end);
                sleep_msec(5);
        }
}

/* A new worker puts right what the last one left, which is when ksmd lets it. */
static void assert_ksm_right(void)
{
        for (uint64_t end = now_usec() + 15000000;; sleep_msec(5)) {
                char *knobs = harness_ksm_knobs();
                bool right = streq(knobs, h.ksm);

                if (!right && now_usec() > end)
                        g_assert_cmpstr(knobs, ==, h.ksm);
                g_free(knobs);
                if (right)
                        break;
        }
}

static unsigned one_round(enum victim victim, bool unmerge, bool busy, unsigned delay_usec)
{
        struct child *c[N];
        pid_t pids[N];
        struct what what = { .pids = pids, .n_pids = N };
        char *job, *error = NULL;
        unsigned killed;

        g_test_message("victim %d, %s%s, %u us", (int)victim, unmerge ? "Unmerge" : "Merge",
                       busy ? " while busy" : "", delay_usec);
        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++)
                child_area(c[i], PAGES, 41, 1);
        if (busy)
                child_say(c[0], "threads");

        if (unmerge)
                g_free(job_run(h.bus, "Merge", &what));
        job = job_start(h.bus, unmerge ? "Unmerge" : "Merge", &what);
        g_usleep(delay_usec);
        /* An injector is there for a few milliseconds only. */
        for (uint64_t end = now_usec() + 300000; (killed = kill_victims(victim)) == 0 && now_usec() < end;)
                ;

        if (victim == VICTIM_DAEMON || victim == VICTIM_ALL) {
                int status = spawn_wait(TAKE_GENERIC(h.daemon_pid, 0), 10000);

                g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
                children_verify(c, N);
                wait_alone(0);
                harness_daemon_start(&h, NULL, NULL);
        } else {
                job_wait(h.bus, job);
        }
        assert_ksm_right();
        children_verify(c, N);
        if (busy)
                g_free(child_ask(c[0], "threads-check"));
        g_free(job);

        /* The service works as before, and what it had registered can be undone. */
        job = job_try(h.bus, "Merge", &what, &error);
        g_assert_cmpstr(error, ==, NULL);
        g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
        g_free(job);
        children_verify(c, N);
        g_free(job_run(h.bus, "Unmerge", &what));
        for (size_t i = 0; i < N; i++)
                frames_assert_unregistered(pids[i]);
        children_verify(c, N);
        if (busy)
                g_free(child_ask(c[0], "threads-check"));
        assert_ksm_right();
        children_end(c, N);
        return killed;
}

static void test_victim(gconstpointer victim)
{
        unsigned rounds = test_rounds(6), killed = 0;

        /* Busy threads leave little of the machine to those who are to be killed. */
        for (unsigned i = 0; i < rounds; i++)
                killed += one_round((enum victim)GPOINTER_TO_INT(victim), i % 3 == 2, i % 4 == 1,
                                    (unsigned)g_random_int_range(0, i % 2 == 0 ? 20000 : 200000));
        g_test_message("%u killed in %u rounds", killed, rounds);
        g_assert_cmpuint(killed, >, 0);
}

/* A merge in several passes, of more pages than a megabyte has room for, counts what it has found once,
 * whatever becomes of its workers. */
static void test_passes(void)
{
        enum { MANY = 30000, SLACK = 64 };
        struct child *c[2];
        pid_t pids[2];
        struct what what = { .pids = pids, .n_pids = 2 };
        unsigned killed = 0;
        uint64_t wanted;
        char *job;

        harness_configure(&h, "[Daemon]\nBookkeepingMax=1M\n");
        children_start(&h, UID_FIRST, c, pids, 2);
        for (size_t i = 0; i < 2; i++)
                child_area(c[i], MANY, 41, 1);
        job = job_run(h.bus, "Estimate", &what);
        wanted = job_figure(h.bus, job, "duplicate_frames");
        g_assert_cmpuint(wanted, >=, MANY);
        g_free(job);

        for (unsigned i = 0; i < 2; i++) {
                uint64_t found;

                job = job_start(h.bus, "Merge", &what);
                for (unsigned k = 0; i > 0 && k < 6; k++) {
                        g_usleep((unsigned)g_random_int_range(50000, 400000));
                        killed += kill_victims(VICTIM_WORKER);
                }
                g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
                found = job_figure(h.bus, job, "duplicate_frames");
                g_test_message("%u killed, %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT, killed, found,
                               wanted);
                g_assert_cmpuint(found, <=, wanted + SLACK);
                /* ksmd merges all of an area that the first pass has registered, so the second finds little.
                 * What is merged before the first begins anew is not found again. */
                if (i == 0)
                        g_assert_cmpuint(found, >=, wanted / 3);
                g_free(job);
                children_verify(c, 2);
                g_free(job_run(h.bus, "Unmerge", &what));
        }
        g_assert_cmpuint(killed, >, 0);
        assert_ksm_right();
        children_end(c, 2);
        harness_configure(&h, "");
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_data_func("/kill/daemon", GINT_TO_POINTER(VICTIM_DAEMON), test_victim);
        g_test_add_data_func("/kill/worker", GINT_TO_POINTER(VICTIM_WORKER), test_victim);
        g_test_add_data_func("/kill/injector", GINT_TO_POINTER(VICTIM_INJECTOR), test_victim);
        g_test_add_data_func("/kill/all", GINT_TO_POINTER(VICTIM_ALL), test_victim);
        g_test_add_func("/kill/passes", test_passes);
        status = g_test_run();
        return harness_end(&h, status);
}
