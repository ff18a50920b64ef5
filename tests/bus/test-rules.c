/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <signal.h>

#include "children.h"
#include "client.h"
#include "shared/macro.h"
#include "shared/names.h"

/* Rules of the configuration, as the service goes by them. Nothing is merged here: only processes of
 * this test are named, and only looked at. */

#define N 2U

static struct harness h;

/* Puts @text in force and waits until it is. */
static void configure(const char *text)
{
        harness_config_write(&h, text);
        safe_close(open(h.log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
        g_assert_cmpint(kill(h.daemon_pid, SIGHUP), ==, 0);
        for (uint64_t end = now_usec() + 10000000;; sleep_msec(10)) {
                char *log = harness_log(&h);
                bool done = strstr(log, "Configuration read again.");

                if (!done && now_usec() > end)
                        g_error("not read again: %s", log);
                g_free(log);
                if (done)
                        return;
        }
}

static void assert_estimate(const struct what *what, bool permitted)
{
        char *error, *job;

        if (permitted) {
                job = job_run(h.bus, "Estimate", what);
                g_assert_cmpuint(job_figure(h.bus, job, "processes"), ==, N);
                g_free(job);
                return;
        }
        error = job_refused(h.bus, "Estimate", what);
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_NOTHING_MATCHES);
        g_free(error);
}

/* A rule with Merge=never holds for commands too, however it names the processes. */
static void test_never(void)
{
        static const struct {
                const char *rule;
                bool permitted;
        } samples[] = {
                { "", true },
                { "[Rule a]\nExe=%s\nMerge=never\n", false },
                { "[Rule a]\nExe=%s\nMerge=no\n", true },
                { "[Rule a]\nExe=%s*\nMerge=never\n[Rule b]\nExe=%1$s\n", false },
                { "[Rule a]\nExe=%s.other\nMerge=never\n", true },
                { "[Rule a]\nExe=%s\nUser=nobod*\nMerge=never\n", false },
                { "[Rule a]\nExe=%s\nUser=roo*\nMerge=never\n", true },
        };
        struct child *c[N];
        pid_t pids[N];

        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                GString *text = g_string_new(samples[i].rule);

                g_string_replace(text, "%1$s", h.target, 0);
                g_string_replace(text, "%s", h.target, 0);
                g_test_message("%s", text->str);
                configure(text->str);
                assert_estimate(&(struct what){ .pids = pids, .n_pids = N, .all = true },
                                samples[i].permitted);
                g_string_free(text, TRUE);
        }
        children_end(c, N);
}

/* A program that is found by a link. */
static void test_link(void)
{
        char *link = g_build_filename(h.dir, "link-to-target", NULL);
        char *text = g_strdup_printf("[Rule a]\nExe=%s\nMerge=never\n", link);
        struct child *c[N];
        pid_t pids[N];

        children_start(&h, UID_FIRST, c, pids, N);
        g_assert_cmpint(symlink(h.target, link), ==, 0);
        configure(text);
        assert_estimate(&(struct what){ .pids = pids, .n_pids = N, .all = true }, false);
        g_assert_cmpint(unlink(link), ==, 0);
        children_end(c, N);
        g_free(text);
        g_free(link);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, "observe", NULL);
        g_test_add_func("/rules/never", test_never);
        g_test_add_func("/rules/link", test_link);
        status = g_test_run();
        return harness_end(&h, status);
}
