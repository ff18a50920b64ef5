/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <signal.h>

#include "children.h"
#include "client.h"
#include "frames.h"
#include "shared/macro.h"
#include "shared/names.h"

/* Rules that the daemon works on by itself. They name the test's own program. */

#define N 3U
#define PAGES 400U
#define PATIENCE_USEC (200ULL * 1000U * 1000U)

static struct harness h;

static void start_daemon(const char *mechanism, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void start_daemon(const char *mechanism, const char *format, ...)
{
        g_autofree char *rules = NULL, *text = NULL;
        va_list ap;

        va_start(ap, format);
        rules = g_strdup_vprintf(format, ap);
        va_end(ap);
        /* The default rule is about the bus and the test itself: too young for it. */
        text = g_strdup_printf("[Daemon]\nLogLevel=debug\nCpuQuota=400%%\nIntervalSec=1\n"
                               "[Rule default]\nMinAgeSec=1w\n%s", rules);
        harness_rules_write(&h, text);
        g_assert_true(g_file_set_contents(h.log, "", 0, NULL));
        harness_daemon_start(&h, mechanism, NULL);
}

static unsigned count_in_log(const char *what)
{
        g_autofree char *log = harness_log(&h);
        unsigned n = 0;

        for (const char *at = log; (at = strstr(at, what)); at++)
                n++;
        return n;
}

static void wait_for_log(const char *what, unsigned n)
{
        for (uint64_t end = now_usec() + PATIENCE_USEC; count_in_log(what) < n; sleep_msec(20))
                if (now_usec() > end) {
                        g_autofree char *log = harness_log(&h);

                        g_error("not %u times in the log: %s\n%s", n, what, log);
                }
}

/* So many more turns of @rule. */
static void wait_for_turns(const char *rule, unsigned n)
{
        g_autofree char *what = g_strdup_printf("Rule \"%s\": a turn is over", rule);

        wait_for_log(what, count_in_log(what) + n);
}

static void start(struct child **c, pid_t *pids)
{
        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++) {
                child_area(c[i], PAGES, 77, 1);
                child_area(c[i], 50, 200 + i, 1);
        }
}

/* Nobody asks for anything, and memory shrinks. */
static void test_merges(void)
{
        struct child *c[N];
        pid_t pids[N];
        size_t before;

        start(c, pids);
        before = frames_distinct(pids, N);
        start_daemon("ksm", "[Rule mine]\nExe=%s\nIntervalSec=1\nMinAgeSec=0\n", h.target);
        for (uint64_t end = now_usec() + PATIENCE_USEC;
             frames_distinct(pids, N) + (N - 1) * PAGES > before; sleep_msec(50))
                g_assert_cmpuint(now_usec(), <, end);
        wait_for_log("pages merged, ", 1);
        children_verify(c, N);
        g_assert_cmpuint(manager_figure(h.bus, "RegisteredProcesses", 'u'), ==, N);

        /* Whoever comes later is merged too. */
        children_end(c, N);
        start(c, pids);
        before = frames_distinct(pids, N);
        for (uint64_t end = now_usec() + PATIENCE_USEC;
             frames_distinct(pids, N) + (N - 1) * PAGES > before; sleep_msec(50))
                g_assert_cmpuint(now_usec(), <, end);
        children_verify(c, N);

        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        children_end(c, N);
}

/* What is only to be looked at is; what is never to be looked at is not, nor who is too young; and who is
 * not asked for at all is the default rule's, which registers nothing with KSM. */
static void test_leaves(void)
{
        static const struct {
                const char *what, *rule, *turns_of;
                bool looks, others;
        } cases[] = {
                { "Merge=no", "Merge=no", "mine", true },
                { "never", "Merge=never\n[Rule other]\nComm=nobody\nIntervalSec=1", "other", false },
                { "never beats", "Merge=yes\n[Rule all]\nUser=*\nMerge=never", "default", false },
                { "too young", "MinAgeSec=1w", "mine", false },
                { "other memory", "Owners=stack", "mine", false },
                { "default", "Comm=nobody-has-this-name", "default", true, true },
                { "zeros", "ZeroOnly=yes", "mine", true },
        };
        struct child *c[N];
        pid_t pids[N];

        start(c, pids);
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                struct frames before = frames_read(pids[0], 0, UINT64_MAX), after;
                uint64_t looked;

                g_test_message("%s", cases[i].what);
                start_daemon("ksm", "%s[Rule mine]\nExe=%s\nMinAgeSec=0\nIntervalSec=1\n%s\n",
                             cases[i].others ? "MinAgeSec=0\n" : "", h.target, cases[i].rule);
                wait_for_turns(cases[i].turns_of, 1);
                looked = manager_figure(h.bus, "PagesScannedTotal", 't');
                after = frames_read(pids[0], 0, UINT64_MAX);
                g_assert_true(frames_equal(&before, &after));
                for (size_t k = 0; k < N; k++)
                        frames_assert_unregistered(pids[k]);
                if (cases[i].looks)
                        g_assert_cmpuint(looked, >=, N * PAGES);
                else
                        g_assert_cmpuint(looked, <, N * PAGES);
                g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
                frames_done(&before);
                frames_done(&after);
        }
        children_verify(c, N);
        children_end(c, N);
}

/* Each look that shows nothing new makes the next one later. */
static void test_backs_off(void)
{
        struct child *c[N];
        pid_t pids[N];
        uint64_t looked;

        start(c, pids);
        start_daemon("observe", "[Rule mine]\nExe=%s\nMinAgeSec=0\nIntervalSec=1\n", h.target);
        /* Where CPUs are busy turns are rare, and then few of them are left out. */
        wait_for_log("Rule \"mine\": a turn is over; 0 processes", 2);
        looked = manager_figure(h.bus, "PagesScannedTotal", 't');
        g_assert_cmpuint(looked, >=, 2U * N * PAGES);
        g_assert_cmpuint(looked, <, 9U * N * (PAGES + 1000U));
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        children_end(c, N);
}

/* What is written to as soon as it is merged is left alone from then on, which is told once;
 * OnErosion=unmerge gives back the rest. */
static void test_erodes(void)
{
        static const char *const on_erosion[] = { "cooldown", "unmerge" };
        struct child *c[N];
        pid_t pids[N];

        for (size_t i = 0; i < G_N_ELEMENTS(on_erosion); i++) {
                size_t merged;

                start(c, pids);
                merged = frames_distinct(pids, N) - (N - 1) * PAGES;
                start_daemon("ksm", "[Rule mine]\nExe=%s\nIntervalSec=1\nMinAgeSec=0\nOnErosion=%s\n",
                             h.target, on_erosion[i]);
                for (uint64_t end = now_usec() + PATIENCE_USEC;
                     count_in_log("faster than merging pays") == 0; sleep_msec(50)) {
                        g_assert_cmpuint(now_usec(), <, end);
                        /* What is written to before it was counted was never merged. */
                        if (count_in_log("pages merged, ") == 0 || frames_distinct(pids, N) > merged)
                                continue;
                        for (size_t k = 0; k < N; k++)
                                child_say(c[k], "fill 0 %zu 1", 300 + k);
                }
                for (size_t k = 0; k < N; k++)
                        child_say(c[k], "fill 0 77 1");
                wait_for_turns("mine", 2);
                if (i == 0)
                        g_assert_cmpuint(frames_distinct(pids, N), >, merged + (N - 1) * (PAGES / 2));
                else
                        for (size_t k = 0; k < N; k++)
                                frames_assert_unregistered(pids[k]);
                g_assert_cmpuint(count_in_log("faster than merging pays"), ==, 1);
                children_verify(c, N);
                g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
                children_end(c, N);
        }
}

/* Jobs that somebody asks for do not wait for a rule that waits for its share of the CPU; and rules read
 * again at any moment are followed from then on. */
static void test_reload(void)
{
        struct child *c[N];
        pid_t pids[N];
        const struct what all = { .all = true, .exe = h.target };
        g_autofree char *yes = g_strdup_printf("[Daemon]\nLogLevel=debug\nCpuQuota=1%%\n[Rule mine]\n"
                                               "Exe=%s\nIntervalSec=1\nMinAgeSec=0\n", h.target);
        g_autofree char *never = g_strdup_printf("[Daemon]\nLogLevel=debug\n[Rule mine]\nExe=%s\n"
                                                 "Merge=never\n[Rule other]\nComm=nobody\nIntervalSec=1\n"
                                                 "MinAgeSec=0\n", h.target);

        unsigned n_reloads;

        start(c, pids);
        start_daemon("ksm", "[Rule mine]\nExe=%s\nIntervalSec=1\nMinAgeSec=0\n", h.target);
        for (unsigned i = 0; i < test_rounds(20); i++) {
                harness_rules_write(&h, i % 3 == 2 ? never : yes);
                g_assert_cmpint(kill(h.daemon_pid, SIGHUP), ==, 0);
                sleep_msec(g_test_rand_int_range(0, 300));
                /* Whatever of the last two is in force. */
                if (i % 3 == 1)
                        g_free(job_run(h.bus, "Estimate", &all));
        }
        /* Signals that come together are one. */
        wait_for_log("Configuration read again", 1);
        children_verify(c, N);

        /* What was merged of processes that are not to be any more is told. */
        harness_rules_write(&h, yes);
        n_reloads = count_in_log("Configuration read again");
        g_assert_cmpint(kill(h.daemon_pid, SIGHUP), ==, 0);
        wait_for_log("Configuration read again", n_reloads + 1);
        g_free(job_run(h.bus, "Merge", &all));
        harness_rules_write(&h, never);
        g_assert_cmpint(kill(h.daemon_pid, SIGHUP), ==, 0);
        wait_for_turns("other", 1);
        wait_for_log("Processes that are never to be merged have", 1);
        job_undo(h.bus, &all);
        for (size_t i = 0; i < N; i++)
                frames_assert_unregistered(pids[i]);
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        children_end(c, N);
}

/* Read again all the time while rules and commands merge what is written anew all the time: nothing is lost
 * of what was merged, and nothing is left open. */
static void test_reload_merging(void)
{
        unsigned rounds = test_rounds(30), n_fds;
        struct child *c[N];
        pid_t pids[N];
        const struct what all = { .all = true, .exe = h.target };
        char *job = NULL;

        start(c, pids);
        start_daemon("ksm", "[Rule mine]\nExe=%s\nIntervalSec=1\nMinAgeSec=0\nOnErosion=keep\n", h.target);
        /* What is registered of a process takes two files. */
        g_free(job_run(h.bus, "Merge", &all));
        n_fds = harness_daemon_fds(&h);
        for (unsigned i = 0; i < rounds; i++) {
                g_autofree char *rules = NULL;

                if (i % 5 == 0)
                        for (size_t k = 0; k < N; k++)
                                child_say(c[k], "fill 0 %u 1", 1000 + i);
                if (i % 4 == 0) {
                        if (job)
                                g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
                        g_free(job);
                        job = job_start(h.bus, "Merge", &all);
                }
                rules = g_strdup_printf("[Daemon]\nLogLevel=debug\nCpuQuota=400%%\nIntervalSec=1\n"
                                        "[Rule default]\nMinAgeSec=1w\n[Rule %s]\nExe=%s\nIntervalSec=1\n"
                                        "MinAgeSec=0\nOnErosion=keep\n", i % 3 ? "mine" : "other", h.target);
                harness_rules_write(&h, rules);
                g_assert_cmpint(sd_bus_call_method(h.bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                   MERGEMEM_MANAGER_INTERFACE, "Reload", NULL, NULL, NULL),
                                >=, 0);
                sleep_msec(g_test_rand_int_range(0, 60));
        }
        g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
        g_free(job);
        g_assert_cmpuint(count_in_log("Configuration read again"), ==, rounds);
        g_assert_cmpuint(manager_figure(h.bus, "PagesMergedTotal", 't'), >=, rounds / 5 * PAGES);
        children_verify(c, N);
        /* Turns come and go; what they hold open is theirs. */
        for (uint64_t end = now_usec() + PATIENCE_USEC; harness_daemon_fds(&h) > n_fds; sleep_msec(20))
                g_assert_cmpuint(now_usec(), <, end);
        g_free(job_run(h.bus, "Unmerge", &all));
        for (size_t i = 0; i < N; i++)
                frames_assert_unregistered(pids[i]);
        children_verify(c, N);
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        children_end(c, N);
}

int main(int argc, char *argv[])
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        g_test_add_func("/engine/merges", test_merges);
        g_test_add_func("/engine/leaves", test_leaves);
        g_test_add_func("/engine/backs-off", test_backs_off);
        g_test_add_func("/engine/erodes", test_erodes);
        g_test_add_func("/engine/reload", test_reload);
        g_test_add_func("/engine/reload-merging", test_reload_merging);
        status = g_test_run();
        return harness_end(&h, status);
}
