/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <sys/wait.h>

#include "alone.h"
#include "children.h"
#include "client.h"
#include "frames.h"
#include "json.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What mergemem --dry-run counts is what mergememctl estimate counts of the same processes, which stand
 * still; and it leaves no trace. */

#define N 4U
#define PAGES 200U

static struct harness h;

struct figures {
        uint64_t processes, pages, duplicates, zero, shared;
};

static void check_equal(const struct figures *a, const struct figures *b)
{
        g_assert_cmpuint(a->processes, ==, b->processes);
        g_assert_cmpuint(a->pages, ==, b->pages);
        g_assert_cmpuint(a->duplicates, ==, b->duplicates);
        g_assert_cmpuint(a->zero, ==, b->zero);
        g_assert_cmpuint(a->shared, ==, b->shared);
}

/* As mergememctl prints them. @selector: words apart by blanks. */
static struct figures estimate(const char *selector)
{
        char *bus = g_strconcat("--bus=", h.address, NULL), *text, **words = g_strsplit(selector, " ", 8);
        const char *argv[16] = { h.ctl, bus, "estimate", "--json=short" };
        struct figures f;

        for (size_t i = 0; words[i]; i++)
                argv[i + 4] = words[i];
        g_assert_cmpint(spawn_run(&(struct spawn){ .argv = argv }, 60000, &text), ==, 0);
        g_test_message("%s: %s", selector, text);
        f = (struct figures){
                .processes = json_number(text, "processes"),
                .pages = json_number(text, "pages"),
                .duplicates = json_number(text, "duplicate_frames"),
                .zero = json_number(text, "zero_frames"),
                .shared = json_number(text, "ksm_pages"),
        };
        g_free(text);
        g_strfreev(words);
        g_free(bus);
        return f;
}

static struct figures read_figures(const char *text)
{
        return (struct figures){
                .processes = alone_figure(text, "Processes", NULL),
                .pages = alone_figure(text, "Pages looked at", NULL),
                .duplicates = alone_figure(text, "Duplicates", NULL),
                .zero = alone_figure(text, "Duplicates", "zeros"),
                .shared = alone_figure(text, "Shared already", NULL),
        };
}

static struct figures dry_run(const char *args, const pid_t *pids, size_t n)
{
        char *all = g_strconcat("--dry-run ", args, NULL), *text;
        struct figures f;

        g_assert_cmpint(alone_run(&h, &text, all, pids, n), ==, MERGEMEM_EXIT_DONE);
        f = read_figures(text);
        g_free(text);
        g_free(all);
        return f;
}

static void wait_stopped(pid_t pid)
{
        char *path = g_strdup_printf("/proc/%d/stat", (int)pid), *text;

        for (uint64_t end = now_usec() + 10000000;; sleep_msec(1)) {
                char state = 0;

                g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
                sscanf(strrchr(text, ')'), ") %c", &state);
                g_free(text);
                if (state == 'T')
                        break;
                g_assert_cmpuint(now_usec(), <, end);
        }
        g_free(path);
}

/* Memory of all kinds: equal, single, of zeros, of a library, shared by fork, and stacks of threads. */
static void start(struct child **c, pid_t *pids)
{
        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++) {
                child_area(c[i], PAGES, 21, 1);
                child_area(c[i], PAGES, 1000 + i, 1);
                child_area(c[i], PAGES, 0, 0);
                child_say(c[i], "load %s 8", h.library);
                child_say(c[i], "write 0 %zu 17 %zu", i, 100 + i);
        }
        child_say(c[0], "threads");
        pids[N] = child_fork(c[1]);
        for (size_t i = 0; i <= N; i++) {
                g_assert_cmpint(kill(pids[i], SIGSTOP), ==, 0);
                wait_stopped(pids[i]);
        }
}

static void end(struct child **c, const pid_t *pids)
{
        for (size_t i = 0; i <= N; i++)
                g_assert_cmpint(kill(pids[i], SIGCONT), ==, 0);
        child_say(c[0], "threads-check");
        children_verify(c, N);
        children_end(c, N);
}

static void test_equal(void)
{
        struct frames before[N + 1];
        struct figures wanted, found;
        struct child *c[N];
        pid_t pids[N + 1];
        char *text, *selector;
        GString *all = g_string_new(NULL);

        start(c, pids);
        for (size_t i = 0; i <= N; i++) {
                before[i] = frames_read(pids[i], 0, UINT64_MAX);
                g_string_append_printf(all, "%s--pid=%d", i > 0 ? " " : "", (int)pids[i]);
        }

        /* By the numbers of processes. */
        wanted = estimate(all->str);
        g_assert_cmpuint(wanted.processes, ==, N + 1);
        g_assert_cmpuint(wanted.duplicates, >=, (N - 1) * PAGES);
        g_assert_cmpuint(wanted.zero, >=, PAGES);
        found = dry_run("", pids, N + 1);
        check_equal(&found, &wanted);
        found = dry_run("--no-stack", pids, N + 1);
        check_equal(&found, &wanted);

        /* By name of the program, by its path, by a library, and all of these together. */
        wanted = estimate("--comm=mm-target");
        g_assert_cmpuint(wanted.processes, ==, N + 1);
        found = dry_run("mm-target", NULL, 0);
        check_equal(&found, &wanted);
        found = dry_run("mm-target", pids, 2);
        check_equal(&found, &wanted);
        selector = g_strconcat("--exe=", h.target, NULL);
        wanted = estimate(selector);
        found = dry_run(h.target, NULL, 0);
        check_equal(&found, &wanted);
        wanted = estimate("--shlib=libtarget.so");
        g_assert_cmpuint(wanted.duplicates, >, 0);
        found = dry_run("-s libtarget.so", NULL, 0);
        check_equal(&found, &wanted);
        g_free(selector);
        selector = g_strconcat("-s ", h.library, NULL);
        found = dry_run(selector, pids, N + 1);
        check_equal(&found, &wanted);

        /* Stacks are there, and apart. */
        g_assert_cmpint(alone_run(&h, &text, "--dry-run", pids, N + 1), ==, MERGEMEM_EXIT_DONE);
        g_assert_cmpuint(alone_figure(text, "On stacks", NULL), >=, N + 1);
        g_free(text);

        /* The service is no part of it. */
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        wanted = dry_run("mm-target", NULL, 0);
        harness_daemon_start(&h, NULL, NULL);
        found = estimate("--comm=mm-target");
        check_equal(&found, &wanted);

        for (size_t i = 0; i <= N; i++) {
                struct frames after = frames_read(pids[i], 0, UINT64_MAX);

                g_assert_true(frames_equal(&before[i], &after));
                frames_assert_unregistered(pids[i]);
                frames_done(&after);
                frames_done(&before[i]);
        }
        g_free(selector);
        g_string_free(all, TRUE);
        end(c, pids);
}

/* With --all owners do not matter, and every process is meant: of a part of the figures a recount tells that
 * too, since nobody but the targets has that content. */
static void test_all(void)
{
        struct figures before, after;
        struct child *c[N];
        pid_t pids[N];

        children_start(&h, UID_FIRST, c, pids, N);
        before = dry_run("--all", NULL, 0);
        g_assert_cmpuint(before.processes, >=, N);
        for (size_t i = 0; i < N; i++)
                child_area(c[i], PAGES, 31 + i / 2, 1);
        after = dry_run("--all", NULL, 0);
        g_assert_cmpuint(after.duplicates, >=, before.duplicates + (N / 2) * PAGES);
        g_assert_cmpuint(after.duplicates, <=, before.duplicates + (N / 2) * PAGES + 64);
        g_assert_cmpuint(after.pages, >=, before.pages + N * PAGES);
        children_verify(c, N);
        children_end(c, N);
}

/* A page is read at most once, however little the service may use for bookkeeping. */
static void test_once(void)
{
        /* What a megabyte has no room for. */
        const size_t pages = 30000;
        struct child *c[2];
        pid_t pids[2];
        struct figures wanted, found;
        char *text, *selector;

        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        harness_config_write(&h, "[Daemon]\nBookkeepingMax=1M\n");
        harness_daemon_start(&h, NULL, NULL);
        children_start(&h, UID_FIRST, c, pids, 2);
        for (size_t i = 0; i < 2; i++) {
                child_area(c[i], pages, 41, 1);
                g_assert_cmpint(kill(pids[i], SIGSTOP), ==, 0);
                wait_stopped(pids[i]);
        }
        selector = g_strdup_printf("--pid=%d --pid=%d", (int)pids[0], (int)pids[1]);
        wanted = estimate(selector);
        g_assert_cmpint(alone_run(&h, &text, "--dry-run", pids, 2), ==, MERGEMEM_EXIT_DONE);
        found = read_figures(text);
        check_equal(&found, &wanted);
        g_assert_cmpuint(found.duplicates, >=, pages);
        g_assert_cmpuint(alone_figure(text, "Frames read", NULL), >=, 2 * pages);
        g_assert_cmpuint(alone_figure(text, "Frames read", NULL), <=,
                         found.pages + alone_figure(text, "On stacks", NULL));
        g_free(text);
        g_free(selector);
        children_end(c, 2);
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        harness_config_write(&h, "");
        harness_daemon_start(&h, NULL, NULL);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        alone_set_up(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/alone/figures/equal", test_equal);
        g_test_add_func("/alone/figures/all", test_all);
        g_test_add_func("/alone/figures/once", test_once);
        status = g_test_run();
        return harness_end(&h, status);
}
