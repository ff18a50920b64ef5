/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "client.h"
#include "frames.h"
#include "shared/macro.h"
#include "shared/names.h"

/* Who may share with whom, while KSM serves: one trust domain on the machine at a time. */

#define N 2U
#define PAGES 200U

static struct harness h;

static void start(struct child **c, pid_t *pids)
{
        children_start(&h, UID_FIRST, c, pids, N);
        children_start(&h, UID_SECOND, c + N, pids + N, N);
        for (size_t i = 0; i < 2 * N; i++)
                child_area(c[i], PAGES, 71, 1);
}

static void unmerge(const pid_t *pids)
{
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids, .n_pids = 2 * N }));
        for (size_t i = 0; i < 2 * N; i++)
                frames_assert_unregistered(pids[i]);
}

static void test_second_refused(void)
{
        struct child *c[2 * N];
        pid_t pids[2 * N];
        char *error;

        start(c, pids);
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = N }));
        g_assert_true(frames_is_registered(pids[0]));
        error = job_refused(h.bus, "Merge", &(struct what){ .pids = pids + N, .n_pids = N });
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_DOMAIN_BUSY);
        g_free(error);
        for (size_t i = N; i < 2 * N; i++)
                frames_assert_unregistered(pids[i]);

        /* The first may go on, and once it has gone the second may begin. */
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = N }));
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids, .n_pids = N }));
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids + N, .n_pids = N }));
        g_assert_true(frames_is_registered(pids[N]));
        unmerge(pids);
        children_verify(c, 2 * N);
        children_end(c, 2 * N);
}

/* Two domains in one selection: one of them is chosen, and the result says which. */
static void test_both_selected(void)
{
        struct child *c[2 * N];
        pid_t pids[2 * N];
        size_t before;
        char *job;

        start(c, pids);
        job = job_run(h.bus, "Estimate", &(struct what){ .pids = pids, .n_pids = 2 * N });
        /* Equal pages across the border are no duplicates. */
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), >=, 2 * (N - 1) * PAGES);
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), <, (2 * N - 1) * PAGES);
        g_free(job);

        before = frames_distinct(pids, 2 * N);
        job = job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 2 * N });
        g_assert_true(frames_is_registered(pids[0]) != frames_is_registered(pids[N]));
        g_assert_true(frames_is_registered(pids[0]) == frames_is_registered(pids[N - 1]));
        g_assert_cmpuint(before - frames_distinct(pids, 2 * N), <, 2 * (N - 1) * PAGES);
        g_assert_cmpuint(job_reason(h.bus, job, "refused", NULL), >=, (N - 1) * PAGES);
        g_free(job);
        unmerge(pids);
        children_end(c, 2 * N);
}

static void test_system(void)
{
        struct child *c[2 * N];
        pid_t pids[2 * N];
        size_t before;
        char *job;

        start(c, pids);
        before = frames_distinct(pids, 2 * N);
        job = job_run(h.bus, "Merge", &(struct what){ .exe = h.target, .trust = "system" });
        g_assert_cmpuint(before - frames_distinct(pids, 2 * N), >=, (2 * N - 1) * PAGES);
        g_assert_cmpuint(job_figure(h.bus, job, "saved_frames"), >=, (2 * N - 1) * PAGES);
        g_free(job);
        children_verify(c, 2 * N);
        unmerge(pids);
        children_verify(c, 2 * N);
        children_end(c, 2 * N);
}

/* A program that registered itself may share with anybody that KSM knows: ours must stay away. */
static void test_foreign(void)
{
        struct child *c[2 * N];
        pid_t pids[2 * N];
        char *error;

        start(c, pids);
        child_say(c[N], "register 0");
        error = job_refused(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = N });
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_DOMAIN_BUSY);
        g_free(error);
        frames_assert_unregistered(pids[0]);
        children_end(c, 2 * N);
}

/* Who takes on another user takes nothing of the first one's along, whether merging waits for it or not. */
static void test_strayed(void)
{
        struct child *c[3];
        pid_t pids[3];

        children_start(&h, 0, c, pids, 3);
        for (size_t i = 0; i < 3; i++)
                child_area(c[i], PAGES, 71, 1);
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 2 }));
        g_assert_true(frames_is_registered(pids[0]));
        g_assert_true(frames_is_registered(pids[1]));
        child_say(c[0], "user %u", UID_SECOND);

        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids + 1, .n_pids = 2 }));
        frames_assert_unregistered(pids[0]);
        g_assert_true(frames_is_registered(pids[1]));
        g_assert_true(frames_is_registered(pids[2]));
        g_assert_cmpuint(manager_figure(h.bus, "RegisteredProcesses", 'u'), ==, 2);
        children_verify(c, 3);
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids + 1, .n_pids = 2 }));
        children_end(c, 3);
}

/* What a process had before an exec is gone, and must not stand in the way of others. */
static void test_exec(void)
{
        struct child *c[2 * N];
        pid_t pids[2 * N];

        start(c, pids);
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = N }));
        child_send(c[0], "exec");
        while (frames_is_registered(pids[0]))
                sleep_msec(1);
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids, .n_pids = N }));
        g_assert_cmpuint(manager_figure(h.bus, "RegisteredProcesses", 'u'), ==, 0);
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids + N, .n_pids = N }));
        g_assert_true(frames_is_registered(pids[N]));
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids + N, .n_pids = N }));
        children_end(c, 2 * N);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/domain/second-refused", test_second_refused);
        g_test_add_func("/domain/both-selected", test_both_selected);
        g_test_add_func("/domain/system", test_system);
        g_test_add_func("/domain/foreign", test_foreign);
        g_test_add_func("/domain/strayed", test_strayed);
        g_test_add_func("/domain/exec", test_exec);
        status = g_test_run();
        return harness_end(&h, status);
}
