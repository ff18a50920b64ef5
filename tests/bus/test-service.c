/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "children.h"
#include "client.h"
#include "shared/macro.h"
#include "shared/names.h"

/* mergememd as a service manager sees it: start, reload, end, and what it says of itself. */

static struct harness h;

static bool said(const char *text)
{
        char *log = harness_log(&h);
        bool found = strstr(log, text);

        g_free(log);
        return found;
}

static void wait_said(const char *text)
{
        for (uint64_t end = now_usec() + 10000000; !said(text); sleep_msec(10))
                if (now_usec() > end)
                        g_error("the daemon did not say \"%s\"", text);
}

static void assert_said(const char *text)
{
        char *log = harness_log(&h);

        if (!strstr(log, text))
                g_error("no \"%s\" in: %s", text, log);
        g_free(log);
}

static void forget_log(void)
{
        /* Emptied where it is: daemons have it open. */
        safe_close(open(h.log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
}

static void assert_failed(int status)
{
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), !=, 0);
}

static char *log_level(void)
{
        char *level = NULL;

        g_assert_cmpint(sd_bus_get_property_string(h.bus, MERGEMEM_BUS_NAME, "/org/freedesktop/LogControl1",
                                                   "org.freedesktop.LogControl1", "LogLevel", NULL, &level),
                        >=, 0);
        return level;
}

static void assert_log_level(const char *expected)
{
        char *level = log_level();

        g_assert_cmpstr(level, ==, expected);
        free(level);
}

static void test_second(void)
{
        forget_log();
        harness_daemon_start(&h, NULL, NULL);
        assert_failed(spawn_wait(harness_daemon_spawn(&h, NULL, NULL, NULL), 10000));
        assert_said("nother mergememd");
        /* The first one goes on. */
        g_free(manager_string(h.bus, "Version"));
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
}

static void test_terminate_in_job(void)
{
        struct child *c[2];
        pid_t pids[2];
        char *knobs;

        children_start(&h, UID_FIRST, c, pids, 2);
        for (size_t i = 0; i < 2; i++)
                child_area(c[i], 5000, 4, 1);
        for (unsigned i = 0; i < 5; i++) {
                harness_daemon_start(&h, NULL, NULL);
                g_free(job_start(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 2 }));
                g_usleep((gulong)g_random_int_range(0, 200000));
                g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
                knobs = harness_ksm_knobs();
                g_assert_cmpstr(knobs, ==, h.ksm);
                g_free(knobs);
                children_verify(c, 2);
        }
        children_end(c, 2);
}

static void test_bad_config(void)
{
        forget_log();
        harness_config_write(&h, "[Daemon]\n# fine\nBookkeepingMax=lots\n");
        assert_failed(spawn_wait(harness_daemon_spawn(&h, NULL, NULL, NULL), 10000));
        assert_said("mergememd.conf:3:");
        forget_log();
        harness_config_write(&h, "[Daemon\n");
        assert_failed(spawn_wait(harness_daemon_spawn(&h, NULL, NULL, NULL), 10000));
        assert_said("mergememd.conf:1:");
        harness_config_write(&h, "");
}

/* What --check-config says of @text. */
static int check_config(const char *text, char **ret)
{
        char *option = g_strconcat("--config=", h.config, NULL);
        int status;

        harness_config_write(&h, text);
        status = spawn_run(&(struct spawn){ .argv = (const char *[]){ TEST_DAEMON, "--check-config", option,
                                                                      NULL } },
                           10000, ret);
        harness_config_write(&h, "");
        g_free(option);
        return status;
}

static void test_check_config(void)
{
        char *text;

        g_assert_cmpint(check_config("[Daemon]\nMechanism=ksm\n[Rule a]\nUnit=a\n", &text), ==, 0);
        g_assert_cmpstr(text, ==, "");
        g_free(text);
        g_assert_cmpint(check_config("[Daemon]\nMechanisms=ksm\n", &text), ==, 0);
        g_assert_nonnull(strstr(text, "mergememd.conf:2: Mechanisms= is not known in [Daemon]"));
        g_free(text);
        assert_failed(check_config("[Daemon]\nMechanism=ksm\n\n[Rule a]\nUnit=\n", &text));
        g_assert_nonnull(strstr(text, "mergememd.conf:4: rule \"a\": nothing says what it is about"));
        g_free(text);
}

static void test_reload(void)
{
        harness_config_write(&h, "[Daemon]\nLogLevel=notice\n");
        harness_daemon_start(&h, NULL, NULL);
        assert_log_level("notice");

        harness_config_write(&h, "[Daemon]\nLogLevel=debug\n");
        g_assert_cmpint(kill(h.daemon_pid, SIGHUP), ==, 0);
        for (uint64_t end = now_usec() + 10000000;;) {
                char *level = log_level();
                bool changed = streq(level, "debug");

                free(level);
                if (changed)
                        break;
                g_assert_cmpuint(now_usec(), <, end);
                sleep_msec(10);
        }

        forget_log();
        harness_config_write(&h, "[Daemon]\nLogLevel=info\nBookkeepingMax=lots\n");
        g_assert_cmpint(kill(h.daemon_pid, SIGHUP), ==, 0);
        wait_said("mergememd.conf:3:");
        assert_log_level("debug");
        harness_config_write(&h, "");
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
}

static void test_options(void)
{
        static const char *const wrong[][2] = {
                { "--mechanism=magic", "magic" },
                { "--log-level=loud", "loud" },
                /* Not even errors would be said. */
                { "--log-level=crit", "crit: not one of err, warning" },
                { "--log-level=0", "0: not one of err, warning" },
                { "--bus=", "bus" },
                { "--no-such-option", "no-such-option" },
                { "argument", "argument" },
                { "--config=/nonexistent/mergememd.conf", "/nonexistent/mergememd.conf" },
        };
        char *text;

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                int status = spawn_run(&(struct spawn){ .argv = (const char *[]){ TEST_DAEMON, wrong[i][0],
                                                                                  NULL } },
                                       10000, &text);

                assert_failed(status);
                if (!strstr(text, wrong[i][1]))
                        g_error("%s: %s", wrong[i][0], text);
                g_free(text);
        }
        g_assert_cmpint(spawn_run(&(struct spawn){ .argv = (const char *[]){ TEST_DAEMON, "--help", NULL } },
                                  10000, &text),
                        ==, 0);
        g_assert_nonnull(strstr(text, "--mechanism"));
        g_free(text);
        g_assert_cmpint(spawn_run(&(struct spawn){ .argv = (const char *[]){ TEST_DAEMON, "--version",
                                                                             NULL } },
                                  10000, &text),
                        ==, 0);
        g_assert_nonnull(strstr(text, TEST_VERSION));
        g_free(text);
}

static void test_observe(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        char *error, *mechanism;

        harness_daemon_start(&h, "observe", NULL);
        mechanism = manager_string(h.bus, "Mechanism");
        g_assert_cmpstr(mechanism, ==, "observe");
        g_free(mechanism);
        g_free(job_run(h.bus, "Estimate", &(struct what){ .pids = &c->pid, .n_pids = 1 }));
        error = job_refused(h.bus, "Merge", &(struct what){ .pids = &c->pid, .n_pids = 1 });
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_NOT_SUPPORTED);
        g_free(error);
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        child_end(c);
}

/* All that comes on the notify socket until @wanted does, in one text. */
static void hear(int fd, GString *all, const char *wanted)
{
        for (uint64_t end = now_usec() + 10000000; !strstr(all->str, wanted);) {
                struct pollfd p = { .fd = fd, .events = POLLIN };
                char buffer[4096];
                ssize_t n;

                if (now_usec() > end || poll(&p, 1, 10000) == 0)
                        g_error("\"%s\" never came: %s", wanted, all->str);
                n = recv(fd, buffer, sizeof(buffer), 0);
                g_assert_cmpint(n, >, 0);
                g_string_append_len(all, buffer, n);
                g_string_append_c(all, '\n');
        }
}

static void test_notify(void)
{
        struct sockaddr_un name = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        GString *all = g_string_new(NULL);
        char *variable;

        g_snprintf(name.sun_path, sizeof(name.sun_path), "%s/notify", h.dir);
        g_assert_cmpint(bind(fd, (struct sockaddr *)&name, sizeof(name)), ==, 0);
        variable = g_strconcat("NOTIFY_SOCKET=", name.sun_path, NULL);
        harness_daemon_start(&h, NULL, (const char *[]){ variable, "WATCHDOG_USEC=300000", NULL });

        hear(fd, all, "READY=1");
        hear(fd, all, "STATUS=");
        g_string_truncate(all, 0);
        hear(fd, all, "WATCHDOG=1");
        g_string_truncate(all, 0);
        hear(fd, all, "WATCHDOG=1");

        g_string_truncate(all, 0);
        g_assert_cmpint(kill(h.daemon_pid, SIGHUP), ==, 0);
        hear(fd, all, "RELOADING=1");
        hear(fd, all, "MONOTONIC_USEC=");
        hear(fd, all, "READY=1");
        g_assert_true(strstr(all->str, "RELOADING=1") < strstr(all->str, "READY=1"));

        g_string_truncate(all, 0);
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        hear(fd, all, "STOPPING=1");

        g_string_free(all, TRUE);
        g_free(variable);
        safe_close(fd);
}

static void test_bus_lost(void)
{
        forget_log();
        harness_daemon_start(&h, NULL, NULL);
        harness_bus_stop(&h);
        assert_failed(spawn_wait(TAKE_GENERIC(h.daemon_pid, 0), 10000));
        assert_said("bus");
        /* And nothing to connect to is as clear. */
        forget_log();
        assert_failed(spawn_wait(harness_daemon_spawn(&h, NULL, NULL, NULL), 10000));
        assert_said("bus");
        harness_bus_start(&h);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        g_test_add_func("/service/second", test_second);
        g_test_add_func("/service/terminate-in-job", test_terminate_in_job);
        g_test_add_func("/service/bad-config", test_bad_config);
        g_test_add_func("/service/check-config", test_check_config);
        g_test_add_func("/service/reload", test_reload);
        g_test_add_func("/service/options", test_options);
        g_test_add_func("/service/observe", test_observe);
        g_test_add_func("/service/notify", test_notify);
        g_test_add_func("/service/bus-lost", test_bus_lost);
        status = g_test_run();
        return harness_end(&h, status);
}
