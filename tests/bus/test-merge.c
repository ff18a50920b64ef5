/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "client.h"
#include "frames.h"
#include "shared/macro.h"

/* Merging and its undoing: every byte of the targets, and the frames they use. */

#define N 4U
#define PAGES 400U

/* That the kernel keeps for each page it looks after. */
#define KSM_ITEM_BYTES 64U

static struct harness h;

/* 2 % of the larger, as promised. */
static void assert_close(uint64_t said, uint64_t counted)
{
        uint64_t difference = said > counted ? said - counted : counted - said;

        g_test_message("said %" G_GUINT64_FORMAT ", counted %" G_GUINT64_FORMAT, said, counted);
        g_assert_cmpuint(difference * 50, <=, MAX(said, counted));
}

static void start(struct child **c, pid_t *pids)
{
        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++) {
                child_area(c[i], PAGES, 21, 1);
                child_area(c[i], 50, 100 + i, 1);
                child_area(c[i], 50, 0, 0);
        }
}

static char *merge(const pid_t *pids, size_t n)
{
        return job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = n });
}

static void unmerge(const pid_t *pids, size_t n)
{
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids, .n_pids = n }));
        for (size_t i = 0; i < n; i++)
                frames_assert_unregistered(pids[i]);
}

static void test_round(void)
{
        struct child *c[N];
        pid_t pids[N];
        size_t before, after;
        uint64_t total;
        char *job;

        start(c, pids);
        before = frames_distinct(pids, N);
        total = manager_figure(h.bus, "PagesMergedTotal", 't');
        job = merge(pids, N);
        after = frames_distinct(pids, N);

        g_assert_cmpuint(before - after, >=, (N - 1) * PAGES + N * 50 - 1);
        assert_close(job_figure(h.bus, job, "saved_frames"), before - after);
        assert_close(manager_figure(h.bus, "SavedGrossBytes", 't'), (before - after) * 4096);
        g_assert_cmpuint(manager_figure(h.bus, "SavedBytes", 't'), ==,
                         manager_figure(h.bus, "SavedGrossBytes", 't') -
                                 manager_figure(h.bus, "MetadataBytes", 't'));
        g_assert_cmpuint(manager_figure(h.bus, "MetadataBytes", 't'), >, 0);
        g_assert_cmpuint(manager_figure(h.bus, "RegisteredProcesses", 'u'), ==, N);
        g_assert_cmpuint(manager_figure(h.bus, "PagesMergedTotal", 't'), >, total);
        g_assert_cmpuint(job_figure(h.bus, job, "merged_pages"), >=, N * PAGES);
        g_assert_cmpuint(job_figure(h.bus, job, "shared_frames"), >=, PAGES);
        g_assert_cmpuint(job_figure(h.bus, job, "stop_usec"), >, 0);
        g_free(job);
        children_verify(c, N);

        unmerge(pids, N);
        g_assert_cmpuint(frames_distinct(pids, N), >=, before);
        g_assert_cmpuint(manager_figure(h.bus, "RegisteredProcesses", 'u'), ==, 0);
        g_assert_cmpuint(manager_figure(h.bus, "SavedBytes", 't'), ==, 0);
        children_verify(c, N);
        children_end(c, N);
}

static void test_written(void)
{
        struct child *c[N];
        pid_t pids[N];
        size_t merged, written;

        start(c, pids);
        g_free(merge(pids, N));
        merged = frames_distinct(pids, N);

        /* Every tenth page in each: a frame of its own again, and nobody else sees the byte. */
        for (size_t i = 0; i < N; i++)
                for (size_t p = 0; p < PAGES; p += 10)
                        child_say(c[i], "write 0 %zu %zu %zu", p, 7 * i, i + 1);
        children_verify(c, N);
        written = frames_distinct(pids, N);
        g_assert_cmpuint(written, >=, merged + (N - 1) * (PAGES / 10));

        /* What a fork inherits, it inherits whole, and what either writes stays its own. */
        child_fork(c[0]);
        child_say(c[0], "child 0 write 0 3 3 3");
        child_say(c[0], "write 0 4 4 4");
        child_say(c[2], "unmap 0 100 50");
        child_say(c[3], "fill 0 33 1");
        children_verify(c, N);

        unmerge(pids, N);
        children_verify(c, N);
        children_end(c, N);
}

/* Areas that their owner moves in between, on either side of the merge. */
static void test_moved(void)
{
        struct child *c[N];
        pid_t pids[N];

        start(c, pids);
        child_say(c[0], "move 0");
        g_free(merge(pids, N));
        child_say(c[1], "move 0");
        child_say(c[1], "write 0 3 3 3");
        children_verify(c, N);
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids, .n_pids = N }));
        children_verify(c, N);
        children_end(c, N);
}

/* Again and again, with new data in between: nothing is left over from the round before. */
static void test_repeat(void)
{
        struct child *c[N];
        pid_t pids[N];

        start(c, pids);
        for (unsigned round = 0; round < 5; round++) {
                size_t before;
                char *job;

                for (size_t i = 0; i < N; i++)
                        child_say(c[i], "fill 0 %u 1", 50 + round);
                before = frames_distinct(pids, N);
                job = merge(pids, N);
                g_assert_cmpuint(frames_distinct(pids, N), <=, before - (N - 1) * PAGES);
                g_assert_cmpuint(job_figure(h.bus, job, "saved_frames"), >=, (N - 1) * PAGES);
                g_free(job);
                children_verify(c, N);
        }
        unmerge(pids, N);
        children_verify(c, N);
        children_end(c, N);
}

/* What the kernel keeps for what others have merged is not this job's. */
static void test_metadata(void)
{
        struct child *c[2 * N];
        pid_t pids[2 * N];
        uint64_t first, second;
        char *job;

        children_start(&h, UID_FIRST, c, pids, 2 * N);
        for (size_t i = 0; i < 2 * N; i++)
                child_area(c[i], i < N ? 20 * PAGES : PAGES, 21, 1);
        job = merge(pids, N);
        first = job_figure(h.bus, job, "metadata_bytes");
        g_assert_cmpuint(first, >=, N * 20 * PAGES * KSM_ITEM_BYTES);
        g_free(job);
        job = merge(pids + N, N);
        second = job_figure(h.bus, job, "metadata_bytes");
        g_assert_cmpuint(second, >=, N * PAGES * KSM_ITEM_BYTES);
        g_assert_cmpuint(second, <, first / 4);
        assert_close(manager_figure(h.bus, "MetadataBytes", 't'), first + second);
        g_free(job);
        unmerge(pids, 2 * N);
        children_end(c, 2 * N);
}

/* Another service knows what the first one left. */
static void test_restart(void)
{
        struct child *c[N];
        pid_t pids[N];
        char *log;

        start(c, pids);
        g_free(merge(pids, N));
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        log = harness_log(&h);
        g_assert_nonnull(strstr(log, "What is merged stays merged: "));
        g_assert_nonnull(strstr(log, " pages of 4 processes, by KSM."));
        g_free(log);
        harness_daemon_start(&h, NULL, NULL);
        children_verify(c, N);
        unmerge(pids, N);
        children_verify(c, N);
        children_end(c, N);
}

/* Pages that fork shares free nothing, and no figure may say so. */
static void test_fork_is_no_saving(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        pid_t pids[2] = { c->pid };
        size_t before, after;
        char *job;

        child_area(c, PAGES, 44, 1);
        pids[1] = child_fork(c);
        before = frames_distinct(pids, 2);
        job = merge(pids, 2);
        after = frames_distinct(pids, 2);
        g_assert_cmpuint(job_figure(h.bus, job, "saved_frames"), <=, 16);
        g_assert_cmpuint(before - after, <=, 16);
        g_free(job);
        child_verify(c);
        unmerge(pids, 2);
        child_verify(c);
        child_end(c);
}

/* Memory that a program registered itself is its own affair. */
static void test_registered_before(void)
{
        struct child *c[2];
        pid_t pids[2];
        struct frames_range ranges[64];
        uint64_t own;

        children_start(&h, UID_FIRST, c, pids, 2);
        for (size_t i = 0; i < 2; i++) {
                child_area(c[i], PAGES, 61, 1);
                child_area(c[i], PAGES, 62, 1);
        }
        child_say(c[0], "register 1");
        own = child_address(c[0], 1);

        g_free(job_run(h.bus, "Merge", &(struct what){ .exe = h.target, .trust = "system" }));
        g_assert_true(frames_is_registered(pids[1]));
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids, .n_pids = 2 }));
        g_assert_cmpuint(frames_registered(pids[0], ranges, ELEMENTSOF(ranges)), ==, 1);
        g_assert_cmpuint(ranges[0].start, ==, own);
        g_assert_cmpuint(ranges[0].end, ==, own + PAGES * 4096);
        frames_assert_unregistered(pids[1]);
        children_verify(c, 2);
        children_end(c, 2);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/merge/round", test_round);
        g_test_add_func("/merge/written", test_written);
        g_test_add_func("/merge/moved", test_moved);
        g_test_add_func("/merge/repeat", test_repeat);
        g_test_add_func("/merge/metadata", test_metadata);
        g_test_add_func("/merge/restart", test_restart);
        g_test_add_func("/merge/fork-is-no-saving", test_fork_is_no_saving);
        g_test_add_func("/merge/registered-before", test_registered_before);
        status = g_test_run();
        return harness_end(&h, status);
}
