/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <signal.h>
#include <stdlib.h>

#include "children.h"
#include "client.h"
#include "frames.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What a process has registered its children inherit over fork. It stays ours, whatever becomes of the
 * one that they have it from. */

#define N 3U
#define PAGES 100U

static struct harness h;

static pid_t child_orphan(struct child *c)
{
        char *answer = child_ask(c, "orphan");
        pid_t pid = (pid_t)atoi(answer);

        g_assert_cmpint(pid, >, 0);
        g_free(answer);
        return pid;
}

static void start(struct child **c, pid_t *pids)
{
        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++)
                child_area(c[i], PAGES, 19, 1);
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = N }));
}

static void unmerge(const pid_t *pids, size_t n)
{
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids, .n_pids = n }));
        for (size_t i = 0; i < n; i++)
                frames_assert_unregistered(pids[i]);
}

/* Its parent lives, and nothing was merged since it was born. */
static void test_child(void)
{
        struct child *c[N];
        pid_t pids[N], orphan;

        start(c, pids);
        orphan = child_orphan(c[0]);
        g_assert_true(frames_is_registered(orphan));
        unmerge(&orphan, 1);
        g_assert_true(frames_is_registered(pids[0]));
        unmerge(pids, N);
        children_verify(c, N);
        children_end(c, N);
        g_assert_no_errno(kill(orphan, SIGKILL));
}

/* Its parent has given back all that it had. */
static void test_left_behind(void)
{
        struct child *c[N];
        pid_t pids[N], orphan;

        start(c, pids);
        orphan = child_orphan(c[0]);
        unmerge(pids, N);
        g_assert_true(frames_is_registered(orphan));

        /* Nobody is in the way of a merge, and it can be undone. */
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = N }));
        g_assert_cmpuint(manager_figure(h.bus, "RegisteredProcesses", 'u'), ==, N + 1);
        unmerge(&orphan, 1);
        unmerge(pids, N);
        children_verify(c, N);
        children_end(c, N);
        g_assert_no_errno(kill(orphan, SIGKILL));
}

/* Its parent has ended; so has the service in between, the second time. */
static void test_orphan(gconstpointer restarts)
{
        struct child *c[N];
        pid_t pids[N], orphan;
        char *error;

        start(c, pids);
        orphan = child_orphan(c[0]);
        c[0] = child_end(c[0]);
        if (restarts) {
                g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
                harness_daemon_start(&h, NULL, NULL);
        }
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids + 1, .n_pids = N - 1 }));
        unmerge(&orphan, 1);
        error = job_refused(h.bus, "Unmerge", &(struct what){ .pids = &orphan, .n_pids = 1 });
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_NOTHING_MATCHES);
        g_free(error);
        unmerge(pids + 1, N - 1);
        children_verify(c + 1, N - 1);
        children_end(c + 1, N - 1);
        g_assert_no_errno(kill(orphan, SIGKILL));
}

/* Who has registered his memory himself, at the same addresses, has it from nobody: he was there before. */
static void test_own(void)
{
        struct child *c[N], *own;
        pid_t pids[N];
        char *error;

        own = child_start(&h, UID_FIRST);
        child_area(own, PAGES, 19, 1);
        start(c, pids);
        child_say(own, "register 0");
        g_assert_true(frames_is_registered(own->pid));
        error = job_refused(h.bus, "Unmerge", &(struct what){ .pids = &own->pid, .n_pids = 1 });
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_NOTHING_MATCHES);
        g_free(error);
        g_assert_true(frames_is_registered(own->pid));
        for (size_t i = 0; i < N; i++)
                child_area(c[i], PAGES, 23, 1);
        error = job_refused(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = N });
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_DOMAIN_BUSY);
        g_free(error);
        child_end(own);
        unmerge(pids, N);
        children_end(c, N);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/inherit/child", test_child);
        g_test_add_func("/inherit/left-behind", test_left_behind);
        g_test_add_data_func("/inherit/orphan", GINT_TO_POINTER(false), test_orphan);
        g_test_add_data_func("/inherit/orphan-after-restart", GINT_TO_POINTER(true), test_orphan);
        g_test_add_func("/inherit/own", test_own);
        status = g_test_run();
        return harness_end(&h, status);
}
