/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "client.h"
#include "frames.h"
#include "libtarget.h"
#include "shared/macro.h"

/* What an estimate says of memory that is known to the page, and that it leaves no trace. */

#define N 4U
#define PAGES 200U

static struct harness h;

/* Estimates @what and has every figure of frames agree with the recount; the job (g_free). */
static char *estimate(const pid_t *pids, size_t n)
{
        size_t duplicates = frames_duplicates(pids, n);
        char *job = job_run(h.bus, "Estimate", &(struct what){ .pids = pids, .n_pids = n, .all = true });

        g_assert_cmpuint(job_figure(h.bus, job, "processes"), ==, n);
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), ==, duplicates);
        return job;
}

static void test_equal(void)
{
        struct child *c[N];
        pid_t pids[N];
        uint64_t base;
        char *job;

        children_start(&h, UID_FIRST, c, pids, N);
        job = estimate(pids, N);
        base = job_figure(h.bus, job, "duplicate_frames");
        g_free(job);

        for (size_t i = 0; i < N; i++)
                child_area(c[i], PAGES, 5, 1);
        job = estimate(pids, N);
        /* What the bookkeeping of an area costs the target is in both figures, give or take a page. */
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), >=, base + (N - 1) * PAGES);
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), <=, base + (N - 1) * (PAGES + 2));
        g_free(job);

        /* A page that one of them changes is nobody's duplicate any more. */
        for (size_t i = 0; i < 10; i++)
                child_say(c[0], "write 0 %zu 17 %zu", i, 100 + i);
        job = estimate(pids, N);
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), <, base + (N - 1) * (PAGES + 2));
        g_free(job);
        children_verify(c, N);
        children_end(c, N);
}

static void test_unique(void)
{
        struct child *c[N];
        pid_t pids[N];
        uint64_t base;
        char *job;

        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++)
                child_area(c[i], 1, 1000 + i, 1);
        job = estimate(pids, N);
        base = job_figure(h.bus, job, "duplicate_frames");
        g_free(job);
        for (size_t i = 0; i < N; i++)
                child_say(c[i], "map %u", PAGES);
        for (size_t i = 0; i < N; i++)
                child_say(c[i], "fill 1 %zu 1", 2000 + i);
        job = estimate(pids, N);
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), <=, base + 2 * N);
        g_assert_cmpuint(job_figure(h.bus, job, "pages"), >=, N * PAGES);
        g_free(job);
        children_end(c, N);
}

static void test_zero(void)
{
        struct child *c[N];
        pid_t pids[N];
        uint64_t zero;
        char *job;

        children_start(&h, UID_FIRST, c, pids, N);
        job = estimate(pids, N);
        zero = job_figure(h.bus, job, "zero_frames");
        g_free(job);
        for (size_t i = 0; i < N; i++)
                child_area(c[i], PAGES, 0, 0);
        job = estimate(pids, N);
        /* One frame must stay, or a few: none is mapped more than 256 times. */
        g_assert_cmpuint(job_figure(h.bus, job, "zero_frames"), >=, zero + N * PAGES - N * PAGES / 256 - 1);
        g_assert_cmpuint(job_figure(h.bus, job, "zero_frames"), <=, zero + N * (PAGES + 2));
        g_free(job);
        children_end(c, N);
}

/* What KSM will be told to do counts, not what it does when nobody uses it: zeros then need no frame. */
static void test_zero_configured(void)
{
        struct child *c[N];
        pid_t pids[N];
        char *job;

        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        harness_config_write(&h, "[KSM]\nUseZeroPages=yes\n");
        harness_daemon_start(&h, NULL, NULL);
        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++)
                child_area(c[i], PAGES, 0, 0);
        job = job_run(h.bus, "Estimate", &(struct what){ .pids = pids, .n_pids = N });
        g_assert_cmpuint(job_figure(h.bus, job, "zero_frames"), >=, N * PAGES);
        g_free(job);
        children_end(c, N);
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        harness_config_write(&h, "");
        harness_daemon_start(&h, NULL, NULL);
}

static void test_fork(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        pid_t pids[3] = { c->pid };
        uint64_t zero_before;
        char *job;

        child_area(c, PAGES, 9, 1);
        child_area(c, PAGES, 0, 0);
        for (size_t i = 1; i < 3; i++)
                pids[i] = child_fork(c);
        job = estimate(pids, 1);
        /* Alone, the parent's pages would free nothing: its children hold them too. */
        g_assert_cmpuint(job_figure(h.bus, job, "zero_frames"), <, 16);
        g_free(job);

        job = estimate(pids, 3);
        zero_before = job_figure(h.bus, job, "zero_frames");
        g_assert_cmpuint(zero_before, <=, PAGES + 16);
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), <, PAGES + 32);
        g_free(job);

        /* Written in one child with the same bytes: a frame each that would be free again. */
        child_say(c, "child 0 fill 0 9 1");
        job = estimate(pids, 3);
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), >=, 2 * PAGES - 16);
        g_free(job);
        child_verify(c);
        child_end(c);
}

static void test_no_trace(void)
{
        struct child *c[N];
        pid_t pids[N + 1];
        struct frames before[N + 1];
        char *job;

        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++) {
                child_area(c[i], PAGES, 3, 1);
                child_area(c[i], PAGES, 0, 0);
        }
        pids[N] = child_fork(c[0]);

        for (size_t i = 0; i <= N; i++)
                before[i] = frames_read(pids[i], 0, UINT64_MAX);
        job = estimate(pids, N + 1);
        g_free(job);
        for (size_t i = 0; i <= N; i++) {
                struct frames after = frames_read(pids[i], 0, UINT64_MAX);

                g_assert_cmpuint(after.n, >=, 2 * PAGES);
                g_assert_true(frames_equal(&before[i], &after));
                frames_assert_unregistered(pids[i]);
                frames_done(&after);
                frames_done(&before[i]);
        }
        children_verify(c, N);
        children_end(c, N);
}

/* Memory that its owner keeps out of core dumps or in RAM is left alone. */
static void test_private(gconstpointer how)
{
        struct child *c[N];
        pid_t pids[N];
        uint64_t base;
        char *job;

        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++)
                child_area(c[i], 10, 3, 1);
        job = job_run(h.bus, "Estimate", &(struct what){ .pids = pids, .n_pids = N });
        base = job_figure(h.bus, job, "duplicate_frames");
        g_assert_cmpuint(base, >=, (N - 1) * 10);
        g_free(job);
        for (size_t i = 0; i < N; i++)
                child_say(c[i], "%s 0", (const char *)how);
        job = job_run(h.bus, "Estimate", &(struct what){ .pids = pids, .n_pids = N });
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), ==, base - (N - 1) * 10);
        g_free(job);
        children_end(c, N);
}

static void test_library(void)
{
        struct child *c[N];
        pid_t pids[N];
        struct owner_row row;
        uint64_t pages;
        char *job, *link;

        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++) {
                child_area(c[i], PAGES, 3, 1);
                child_say(c[i], "load %s 8", h.library);
        }
        job = job_run(h.bus, "Estimate",
                      &(struct what){ .shlib = "libtarget.so", .pids = pids, .n_pids = N });
        pages = job_figure(h.bus, job, "pages") / N;
        g_assert_cmpuint(job_figure(h.bus, job, "pages"), ==, N * pages);
        /* Nothing but its own: the edges of its segment are pages of loader data beside what it names. */
        g_assert_cmpuint(pages, >=, LIBTARGET_DATA_PAGES + LIBTARGET_BSS_PAGES + LIBTARGET_RELRO_PAGES);
        g_assert_cmpuint(pages, <=, LIBTARGET_DATA_PAGES + LIBTARGET_BSS_PAGES + LIBTARGET_RELRO_PAGES + 3);
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), ==, (N - 1) * pages);
        g_assert_true(job_owner(h.bus, job, "library", "libtarget.so", &row));
        g_assert_cmpuint(row.pages, ==, N * pages);
        g_assert_cmpuint(row.duplicate_frames, ==, (N - 1) * pages);
        g_assert_cmpuint(job_reason(h.bus, job, "mechanisms", "ksm"), ==, (N - 1) * pages);
        g_free(job);

        /* By path through a symbolic link it is the same file. */
        link = g_build_filename(h.dir, "liblink.so", NULL);
        g_assert_cmpint(symlink(h.library, link), ==, 0);
        job = job_run(h.bus, "Estimate", &(struct what){ .shlib = link, .pids = pids, .n_pids = N });
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), ==, (N - 1) * pages);
        g_free(job);
        g_free(link);
        children_end(c, N);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/estimate/equal", test_equal);
        g_test_add_func("/estimate/unique", test_unique);
        g_test_add_func("/estimate/zero", test_zero);
        g_test_add_func("/estimate/zero-configured", test_zero_configured);
        g_test_add_func("/estimate/fork", test_fork);
        g_test_add_func("/estimate/no-trace", test_no_trace);
        g_test_add_data_func("/estimate/hidden", "hide", test_private);
        g_test_add_data_func("/estimate/locked", "lock", test_private);
        g_test_add_func("/estimate/library", test_library);
        status = g_test_run();
        return harness_end(&h, status);
}
