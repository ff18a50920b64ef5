/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "alone.h"
#include "children.h"
#include "client.h"
#include "frames.h"
#include "shared/macro.h"
#include "shared/names.h"

/* mergemem merges real processes by KSM, without the service, under its rules. */

#define N 3U
#define PAGES 300U

static struct harness h;

static void check_ksm(void)
{
        char *knobs = harness_ksm_knobs();

        g_assert_cmpstr(knobs, ==, h.ksm);
        g_free(knobs);
}

/* Fails with that status and one line, in which each of the words is. */
static void expect_failure(int status, const char *args, const pid_t *pids, size_t n, const char *word,
                           const char *other)
{
        char *text;

        g_assert_cmpint(alone_run(&h, &text, args, pids, n), ==, status);
        if (!strstr(text, word) || (other && !strstr(text, other)) ||
            strchr(text, '\n') != text + strlen(text) - 1)
                g_error("%s: %s", args, text);
        g_free(text);
        check_ksm();
}

/* The service knows what was merged without it, and gives it back. */
static void unmerge(const pid_t *pids, size_t n)
{
        harness_daemon_start(&h, NULL, NULL);
        g_assert_cmpuint(manager_figure(h.bus, "RegisteredProcesses", 'u'), >=, n);
        job_undo(h.bus, &(struct what){ .pids = pids, .n_pids = n });
        for (size_t i = 0; i < n; i++)
                frames_assert_unregistered(pids[i]);
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
}

static void start(uid_t uid, struct child **c, pid_t *pids)
{
        children_start(&h, uid, c, pids, N);
        for (size_t i = 0; i < N; i++)
                child_area(c[i], PAGES, 51, 1);
}

static void test_merge(void)
{
        struct child *c[N];
        pid_t pids[N];
        size_t before, after;
        uint64_t freed;
        char *text;

        start(UID_FIRST, c, pids);
        before = frames_distinct(pids, N);
        g_assert_cmpint(alone_run(&h, &text, "", pids, N), ==, MERGEMEM_EXIT_DONE);
        check_ksm();
        after = frames_distinct(pids, N);
        freed = alone_figure(text, "Frames freed", NULL);
        g_assert_cmpuint(before - after, >=, (N - 1) * PAGES);
        g_assert_cmpuint(freed, >=, (before - after) * 98 / 100);
        /* What was freed of stacks the recount does not see. */
        g_assert_cmpuint(freed, <=,
                         (before - after) * 102 / 100 + alone_figure(text, "On stacks", "duplicates"));
        g_assert_cmpuint(alone_figure(text, "Merged", NULL), >=, N * PAGES);
        g_assert_nonnull(strstr(text, " by ksm\n"));
        g_free(text);
        children_verify(c, N);

        /* Once more there is nothing to do, and each shared frame is read once. */
        g_assert_cmpint(alone_run(&h, &text, "", pids, N), ==, MERGEMEM_EXIT_DONE);
        g_assert_cmpuint(alone_figure(text, "Shared already", NULL), >=, N * PAGES);
        g_assert_cmpuint(alone_figure(text, "Merged", NULL), <=, 16);
        g_assert_cmpuint(alone_figure(text, "Frames read", NULL), <=,
                         alone_figure(text, "Pages looked at", NULL) +
                                 alone_figure(text, "On stacks", NULL) - (N - 1) * PAGES);
        g_free(text);

        /* Who writes has a page of his own. */
        child_say(c[0], "write 0 7 100 3");
        children_verify(c, N);
        unmerge(pids, N);
        children_verify(c, N);
        children_end(c, N);
}

/* The area of a process's first stack. */
static struct frames_range stack_of(pid_t pid)
{
        char *path = g_strdup_printf("/proc/%d/maps", (int)pid), *text, *line;
        struct frames_range range = {};

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        line = strstr(text, "[stack]");
        g_assert_nonnull(line);
        while (line > text && line[-1] != '\n')
                line--;
        g_assert_cmpint(sscanf(line, "%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x", &range.start,
                               &range.end), ==, 2);
        g_free(text);
        g_free(path);
        return range;
}

static bool stack_is_registered(pid_t pid)
{
        struct frames_range stack = stack_of(pid), all[256];
        size_t n = frames_registered(pid, all, ELEMENTSOF(all));

        for (size_t i = 0; i < n; i++)
                if (all[i].start < stack.end && all[i].end > stack.start)
                        return true;
        return false;
}

/* The same program started anew has much the same on its stack; how much of that is whole pages depends on
 * the environment, so it gets an argument of some pages. */
static void test_stacks(void)
{
        char *zeros = g_strnfill(4 * 4096, '0'), *seconds = g_strconcat(zeros, "1000", NULL), *text;

        for (int stacks = 0; stacks < 2; stacks++) {
                pid_t pids[2];

                for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                        pids[i] = spawn(&(struct spawn){
                                .argv = (const char *const[]){ "/bin/sleep", seconds, NULL },
                                .uid = UID_FIRST,
                                .fixed_layout = true,
                        });
                /* Until both are at rest. */
                sleep_msec(300);
                g_assert_cmpint(alone_run(&h, &text, stacks ? "" : "--no-stack", pids, 2), ==,
                                MERGEMEM_EXIT_DONE);
                g_assert_true(stacks == !!strstr(text, "\nOn stacks:"));
                if (stacks)
                        g_assert_cmpuint(alone_figure(text, "On stacks", "duplicates"), >=, 3);
                for (size_t i = 0; i < ELEMENTSOF(pids); i++) {
                        struct frames_range stack = stack_of(pids[i]);

                        g_assert_true(stack_is_registered(pids[i]) == stacks);
                        /* In one piece still. */
                        g_assert_cmpuint(stack.end - stack.start, >=, 16 * 4096);
                }
                g_free(text);
                check_ksm();
                for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                        spawn_kill(pids[i]);
        }
        g_free(seconds);
        g_free(zeros);
}

static void test_names(void)
{
        struct child *c[N];
        pid_t pids[N];
        char *args;

        start(UID_FIRST, c, pids);
        for (size_t i = 0; i < N; i++)
                child_say(c[i], "load %s 8", h.library);
        /* Only the library's. */
        g_assert_cmpint(alone_run(&h, NULL, "-s libtarget.so", NULL, 0), ==, MERGEMEM_EXIT_DONE);
        g_assert_cmpuint(frames_duplicates(pids, N), >=, (N - 1) * PAGES);
        g_assert_true(frames_is_registered(pids[0]));
        children_verify(c, N);
        args = g_strdup_printf("mm-target %d", (int)pids[0]);
        g_assert_cmpint(alone_run(&h, NULL, args, NULL, 0), ==, MERGEMEM_EXIT_DONE);
        g_assert_cmpuint(frames_duplicates(pids, N), <, PAGES);
        children_verify(c, N);
        g_free(args);
        unmerge(pids, N);

        g_assert_cmpint(alone_run(&h, NULL, h.target, NULL, 0), ==, MERGEMEM_EXIT_DONE);
        g_assert_cmpuint(frames_duplicates(pids, N), <, PAGES);
        children_verify(c, N);
        unmerge(pids, N);

        /* By its other name the program means all. */
        args = g_build_filename(h.dir, "mergeall", NULL);
        g_assert_cmpint(symlink(TEST_MERGEMEM, args), ==, 0);
        g_assert_cmpint(spawn_run(&(struct spawn){ .argv = (const char *const[]){ args, NULL } }, 60000,
                                  NULL), ==, 0);
        g_assert_cmpuint(frames_duplicates(pids, N), <, PAGES);
        children_verify(c, N);
        g_free(args);
        unmerge(pids, N);
        children_end(c, N);
}

static void test_refused(void)
{
        struct child *c[N];
        pid_t pids[N];
        char *copy = g_build_filename(h.dir, "mergemem", NULL), *data, *text;
        size_t size;
        int status;

        start(UID_FIRST, c, pids);
        expect_failure(MERGEMEM_EXIT_USAGE, "", NULL, 0, "Which processes?", NULL);
        expect_failure(MERGEMEM_EXIT_USAGE, "--conjure", NULL, 0, "conjure", NULL);
        expect_failure(MERGEMEM_EXIT_USAGE, "--loglevel=99", pids, N, "--loglevel=99", NULL);
        expect_failure(MERGEMEM_EXIT_USAGE, "0", pids, N, "\"0\"", NULL);
        expect_failure(MERGEMEM_EXIT_NOTHING_MATCHED, "nosuchprogram", pids, N, "nosuchprogram", NULL);
        expect_failure(MERGEMEM_EXIT_NOTHING_MATCHED, "/no/such/program", pids, N, "/no/such/program", NULL);
        expect_failure(MERGEMEM_EXIT_NOTHING_MATCHED, "-s libnosuch.so", pids, N, "libnosuch.so", NULL);
        expect_failure(MERGEMEM_EXIT_NOTHING_MATCHED, "--dry-run 4194303", pids, N, "4194303", NULL);
        /* One that has ended. */
        c[N - 1] = child_end(c[N - 1]);
        text = g_strdup_printf("no process %d", (int)pids[N - 1]);
        expect_failure(MERGEMEM_EXIT_NOTHING_MATCHED, "", pids, N, text, NULL);
        g_free(text);
        for (size_t i = 0; i < N - 1; i++)
                frames_assert_unregistered(pids[i]);

        g_assert_true(g_file_get_contents(TEST_MERGEMEM, &data, &size, NULL));
        g_assert_true(g_file_set_contents(copy, data, (gssize)size, NULL));
        g_assert_cmpint(chmod(copy, 0755), ==, 0);
        status = spawn_run(&(struct spawn){ .argv = (const char *const[]){ copy, "--dry-run", "x", NULL },
                                            .uid = UID_SECOND }, 10000, &text);
        g_assert_cmpint(WEXITSTATUS(status), ==, MERGEMEM_EXIT_NOT_PERMITTED);
        g_assert_nonnull(strstr(text, "must be run by root"));
        g_assert_true(strchr(text, '\n') == text + strlen(text) - 1);
        g_free(text);
        g_free(data);
        g_free(copy);

        /* Where standard output takes nothing, that is not success. */
        status = open("/dev/full", O_WRONLY | O_CLOEXEC);
        g_assert_cmpint(WEXITSTATUS(spawn_wait(alone_spawn(&h, "--dry-run", pids, 1, status), 60000)), ==,
                        MERGEMEM_EXIT_FAILED);
        safe_close(status);
        children_end(c, N - 1);
}

static void test_configuration(void)
{
        struct child *c[N];
        pid_t pids[N];

        start(UID_FIRST, c, pids);
        harness_rules_write(&h, "[Rule private]\nComm=mm-target\nMerge=never\n");
        expect_failure(MERGEMEM_EXIT_NOTHING_MATCHED, "", pids, N, "a rule says never", NULL);
        expect_failure(MERGEMEM_EXIT_NOTHING_MATCHED, "--dry-run", pids, N, "a rule says never", NULL);
        harness_rules_write(&h, "[Daemon]\nMechanism=observe\n");
        expect_failure(MERGEMEM_EXIT_FAILED, "", pids, N, "Mechanism=observe", "--dry-run");
        g_assert_cmpint(alone_run(&h, NULL, "--dry-run", pids, N), ==, MERGEMEM_EXIT_DONE);
        harness_rules_write(&h, "[Daemon]\nMechanism=magic\n");
        expect_failure(MERGEMEM_EXIT_FAILED, "", pids, N, "Mechanism", "mergememd.conf:2");
        harness_config_write(&h, "");
        for (size_t i = 0; i < N; i++)
                frames_assert_unregistered(pids[i]);
        children_end(c, N);
}

/* The service has KSM as long as it runs. */
static void test_beside(void)
{
        struct child *c[N];
        pid_t pids[N];
        char *who;

        start(UID_FIRST, c, pids);
        harness_daemon_start(&h, NULL, NULL);
        who = g_strdup_printf("mergememd (process %d)", (int)h.daemon_pid);
        expect_failure(MERGEMEM_EXIT_FAILED, "", pids, N, who, "mergememctl");
        g_free(who);
        for (size_t i = 0; i < N; i++)
                frames_assert_unregistered(pids[i]);
        g_assert_cmpint(alone_run(&h, NULL, "--dry-run", pids, N), ==, MERGEMEM_EXIT_DONE);
        check_ksm();
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        children_end(c, N);
}

/* Neither has a frame of the other's. */
static void check_apart(const pid_t *a, const pid_t *b)
{
        pid_t all[2 * N];

        memcpy(all, a, N * sizeof(*a));
        memcpy(all + N, b, N * sizeof(*b));
        g_assert_cmpuint(frames_distinct(all, 2 * N), ==, frames_distinct(a, N) + frames_distinct(b, N));
}

static void test_domains(void)
{
        struct child *c[N], *d[N];
        pid_t pids[N], others[N];
        char *text;

        start(UID_FIRST, c, pids);
        start(UID_SECOND, d, others);
        g_assert_cmpint(alone_run(&h, NULL, "", pids, N), ==, MERGEMEM_EXIT_DONE);
        /* Who comes second is told whose memory is there. */
        text = g_strdup_printf("user %u/%u", UID_FIRST, UID_FIRST);
        expect_failure(MERGEMEM_EXIT_FAILED, "", others, N, "another trust domain", text);
        g_free(text);
        for (size_t i = 0; i < N; i++)
                frames_assert_unregistered(others[i]);
        check_apart(pids, others);
        unmerge(pids, N);

        /* Of both at once one is merged, and the other counted. */
        g_assert_cmpint(alone_run(&h, &text, "mm-target", NULL, 0), ==, MERGEMEM_EXIT_DONE);
        g_assert_nonnull(strstr(text, "(another trust domain)"));
        g_assert_cmpuint(alone_figure(text, "Refused", NULL), >=, (N - 1) * PAGES);
        g_assert_cmpuint(alone_figure(text, "Frames freed", NULL), >=, (N - 1) * PAGES);
        g_assert_true(frames_is_registered(pids[0]) != frames_is_registered(others[0]));
        check_apart(pids, others);
        g_free(text);
        children_verify(c, N);
        children_verify(d, N);
        unmerge(frames_is_registered(pids[0]) ? pids : others, N);
        children_end(c, N);
        children_end(d, N);
}

/* Memory that a process registered itself is another domain's, unless it is of the same. */
static void test_foreign(void)
{
        struct child *c[N], *other = child_start(&h, UID_SECOND);
        pid_t pids[N];
        char *who = g_strdup_printf("%d", (int)other->pid);

        start(UID_FIRST, c, pids);
        child_area(other, 4, 1, 1);
        child_say(other, "register 0");
        expect_failure(MERGEMEM_EXIT_FAILED, "", pids, N, "trust domain", who);
        child_end(other);
        g_assert_cmpint(alone_run(&h, NULL, "", pids, N), ==, MERGEMEM_EXIT_DONE);
        children_verify(c, N);
        children_end(c, N);
        g_free(who);
}

static void wait_for_duplicates(const pid_t *pids, size_t n, size_t most)
{
        for (uint64_t end = now_usec() + 30000000; frames_duplicates(pids, n) > most; sleep_msec(50))
                g_assert_cmpuint(now_usec(), <, end);
}

static void test_interval(void)
{
        struct child *c[N + 1];
        pid_t pids[N + 1], pid;
        int status;

        start(UID_FIRST, c, pids);
        pid = alone_spawn(&h, "--interval=1 mm-target", NULL, 0, 0);
        wait_for_duplicates(pids, N, PAGES);
        /* One that comes later is found in another round. */
        c[N] = child_start(&h, UID_FIRST);
        pids[N] = c[N]->pid;
        child_area(c[N], PAGES, 51, 1);
        wait_for_duplicates(pids, N + 1, PAGES);

        /* Nobody else is there meanwhile. */
        expect_failure(MERGEMEM_EXIT_FAILED, "", pids, N, "mergemem (process ", NULL);
        g_assert_cmpint(kill(pid, SIGINT), ==, 0);
        g_assert_cmpint(spawn_wait(pid, 20000), ==, 0);
        check_ksm();
        children_verify(c, N + 1);
        unmerge(pids, N + 1);
        children_end(c, N + 1);

        /* What is not there is waited for. */
        pid = alone_spawn(&h, "--interval=1 --dry-run mm-target", NULL, 0, 0);
        sleep_msec(1500);
        g_assert_false(spawn_wait_maybe(pid, 0, &status));
        g_assert_cmpint(kill(pid, SIGTERM), ==, 0);
        g_assert_cmpint(spawn_wait(pid, 20000), ==, 0);
}

/* At any moment. */
static void test_interrupted(void)
{
        for (unsigned i = 0; i < test_rounds(8); i++) {
                struct child *c[2];
                pid_t pids[2], pid;
                int status;

                for (size_t k = 0; k < 2; k++) {
                        c[k] = child_start(&h, UID_FIRST);
                        child_area(c[k], 20000, 61, 1);
                        pids[k] = c[k]->pid;
                }
                pid = alone_spawn(&h, "", pids, 2, 0);
                sleep_msec((unsigned)g_random_int_range(5, 800));
                kill(pid, i % 2 ? SIGTERM : SIGINT);
                status = spawn_wait(pid, 30000);
                /* Before it listens it just ends; it may be done already. */
                if (WIFEXITED(status))
                        g_assert_true(WEXITSTATUS(status) == MERGEMEM_EXIT_FAILED ||
                                      WEXITSTATUS(status) == MERGEMEM_EXIT_DONE);
                check_ksm();
                children_verify(c, 2);
                harness_daemon_start(&h, NULL, NULL);
                job_undo(h.bus, &(struct what){ .exe = h.target });
                g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
                for (size_t k = 0; k < 2; k++)
                        frames_assert_unregistered(pids[k]);
                children_end(c, 2);
        }
}

/* Killed while it drives ksmd: its worker puts KSM back, and the next one knows what is registered. */
static void test_killed(void)
{
        struct child *c[2];
        pid_t pids[2], pid;

        for (size_t k = 0; k < 2; k++) {
                c[k] = child_start(&h, UID_FIRST);
                child_area(c[k], 30000, 71, 1);
                pids[k] = c[k]->pid;
        }
        pid = alone_spawn(&h, "--interval=1", pids, 2, 0);
        for (uint64_t end = now_usec() + 30000000; !frames_is_registered(pids[0]); sleep_msec(2))
                g_assert_cmpuint(now_usec(), <, end);
        spawn_kill(pid);
        for (uint64_t end = now_usec() + 20000000;; sleep_msec(5)) {
                char *knobs = harness_ksm_knobs();
                bool right = streq(knobs, h.ksm);

                g_free(knobs);
                if (right)
                        break;
                g_assert_cmpuint(now_usec(), <, end);
        }
        children_verify(c, 2);
        g_assert_cmpint(alone_run(&h, NULL, "", pids, 2), ==, MERGEMEM_EXIT_DONE);
        g_assert_cmpuint(frames_duplicates(pids, 2), <, PAGES);
        children_verify(c, 2);
        unmerge(pids, 2);
        children_end(c, 2);
}

static size_t count(const char *text, const char *what)
{
        size_t n = 0;

        for (; (text = strstr(text, what)); text++)
                n++;
        return n;
}

static void test_log(void)
{
        struct child *c[N];
        pid_t pids[N];
        char *text;

        start(UID_FIRST, c, pids);
        g_assert_cmpint(alone_run(&h, &text, "--dry-run --loglevel=0", pids, N), ==, MERGEMEM_EXIT_DONE);
        g_assert_cmpstr(text, ==, "");
        g_free(text);
        g_assert_cmpint(alone_run(&h, &text, "--dry-run --loglevel=2", pids, N), ==, MERGEMEM_EXIT_DONE);
        g_assert_cmpuint(count(text, " is selected."), ==, N);
        g_assert_null(strstr(text, "Pages looked at"));
        g_free(text);
        g_assert_cmpint(alone_run(&h, &text, "--dry-run --loglevel=5", pids, N), ==, MERGEMEM_EXIT_DONE);
        g_assert_cmpuint(count(text, " is selected."), ==, 0);
        g_assert_cmpuint(count(text, ", anon "), ==, N);
        g_assert_cmpuint(count(text, "Pages looked at"), ==, 1);
        g_free(text);
        g_assert_cmpint(alone_run(&h, &text, "--dry-run --loglevel=8", pids, N), ==, MERGEMEM_EXIT_DONE);
        g_assert_cmpuint(count(text, " equal pages"), >=, PAGES);
        g_free(text);
        children_end(c, N);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        alone_set_up(&h);
        g_test_add_func("/alone/merge", test_merge);
        g_test_add_func("/alone/stacks", test_stacks);
        g_test_add_func("/alone/names", test_names);
        g_test_add_func("/alone/refused", test_refused);
        g_test_add_func("/alone/configuration", test_configuration);
        g_test_add_func("/alone/beside", test_beside);
        g_test_add_func("/alone/domains", test_domains);
        g_test_add_func("/alone/foreign", test_foreign);
        g_test_add_func("/alone/interval", test_interval);
        g_test_add_func("/alone/interrupted", test_interrupted);
        g_test_add_func("/alone/killed", test_killed);
        g_test_add_func("/alone/log", test_log);
        status = g_test_run();
        return harness_end(&h, status);
}
