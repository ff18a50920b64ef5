/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "client.h"
#include "polkit.h"
#include "shared/macro.h"
#include "shared/names.h"

/* How much one user may have going, and that the others do not notice. */

static struct harness h;
static struct polkit polkit;
static sd_bus *own, *yes;

static void test_jobs(void)
{
        struct child *c = child_start(&h, UID_OWN), *other = child_start(&h, UID_YES);
        const struct what w = { .pids = &c->pid, .n_pids = 1 };
        GPtrArray *jobs = g_ptr_array_new_with_free_func(g_free);
        char *error = NULL, *job, *roots;

        /* One that keeps the worker busy meanwhile. */
        child_area(c, 100000, 7, 1);
        roots = job_start(h.bus, "Estimate", &w);
        while (!error && jobs->len < 100) {
                job = job_try(own, "Estimate", &w, &error);
                if (job)
                        g_ptr_array_add(jobs, job);
        }
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_LIMITS);
        g_assert_cmpuint(jobs->len, <, 10);
        g_free(error);
        /* Another connection is no other user. */
        sd_bus *second = harness_connect_as(&h, UID_OWN);
        error = job_refused(second, "Estimate", &w);
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_LIMITS);
        g_free(error);
        sd_bus_close_unref(second);

        /* Others come before all but the one that runs. */
        g_free(job_start(yes, "Estimate", &(struct what){ .pids = &other->pid, .n_pids = 1 }));
        g_free(job_run(h.bus, "Estimate", &(struct what){ .pids = &other->pid, .n_pids = 1 }));
        g_assert_cmpstr(job_wait(h.bus, roots), ==, "done");
        for (size_t i = 0; i < jobs->len; i++)
                g_assert_cmpstr(job_wait(own, jobs->pdata[i]), ==, "done");
        g_ptr_array_free(jobs, TRUE);
        g_free(roots);
        child_end(other);
        child_end(c);
}

/* root's job overtakes those that a user has waiting. */
static void test_order(void)
{
        struct child *c = child_start(&h, UID_OWN);
        const struct what w = { .pids = &c->pid, .n_pids = 1 };
        char *his[3], *roots, *state;

        child_area(c, 50000, 7, 1);
        for (size_t i = 0; i < 3; i++)
                his[i] = job_start(own, "Estimate", &w);
        roots = job_run(h.bus, "Estimate", &w);
        state = job_string(h.bus, his[2], "State");
        g_assert_cmpstr(state, !=, "done");
        g_free(state);
        for (size_t i = 0; i < 3; i++) {
                g_assert_cmpstr(job_wait(own, his[i]), ==, "done");
                g_free(his[i]);
        }
        g_free(roots);
        child_end(c);
}

static void send_without_reply(sd_bus *bus, const struct what *what)
{
        sd_bus_message *m = NULL;
        char *version;

        g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, "Estimate"), >=, 0);
        g_assert_cmpint(what_append(m, what), >=, 0);
        g_assert_cmpint(sd_bus_message_set_expect_reply(m, false), >=, 0);
        g_assert_cmpint(sd_bus_send(bus, m, NULL), >=, 0);
        sd_bus_message_unref(m);
        /* Answered after it. */
        version = manager_string(bus, "Version");
        g_free(version);
}

/* The bus does not count calls that want no answer. */
static void test_no_reply(void)
{
        struct child *c = child_start(&h, UID_OWN);
        const struct what w = { .pids = &c->pid, .n_pids = 1 };
        size_t before = count_jobs(h.bus);

        send_without_reply(own, &w);
        g_assert_cmpuint(count_jobs(h.bus), ==, before);
        send_without_reply(h.bus, &w);
        for (uint64_t end = now_usec() + 20000000; count_jobs(h.bus) == before; sleep_msec(10))
                g_assert_cmpuint(now_usec(), <, end);
        child_end(c);
}

/* The name of the error of ListProcesses, or NULL. */
static char *list(sd_bus *bus)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *name;

        (void) sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                  "ListProcesses", &error, NULL, "a{sv}", 0);
        name = g_strdup(error.name);
        sd_bus_error_free(&error);
        return name;
}

/* Who asks all the time is told to wait. His own waiting time is as long as he has kept us busy. */
static void test_budget(void)
{
        char *error = NULL;
        unsigned n = 0;

        for (; n < 5000 && !error; n++)
                error = list(own);
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_LIMITS);
        g_test_message("%u lists in a row", n);
        g_assert_cmpuint(n, >, 10);
        g_free(error);
        g_assert_null(list(yes));
        g_assert_null(list(h.bus));
        for (uint64_t end = now_usec() + 30000000; (error = list(own)); sleep_msec(100)) {
                g_assert_cmpstr(error, ==, MERGEMEM_ERROR_LIMITS);
                g_assert_cmpuint(now_usec(), <, end);
                g_free(error);
        }
}

/* The name of the error of Explain, or NULL. */
static char *explain(sd_bus *bus, pid_t pid)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *name;

        (void) sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                  "Explain", &error, NULL, "u", (uint32_t)pid);
        name = g_strdup(error.name);
        sd_bus_error_free(&error);
        return name;
}

/* So is who has processes explained to him. */
static void test_explain(void)
{
        sd_bus *bus = harness_connect_as(&h, UID_DEFAULT);
        struct child *c = child_start(&h, UID_DEFAULT);
        char *error = NULL;
        unsigned n = 0;

        for (; n < 50000 && !error; n++)
                error = explain(bus, c->pid);
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_LIMITS);
        g_test_message("%u explanations in a row", n);
        g_assert_cmpuint(n, >, 50);
        g_free(error);
        g_assert_null(explain(yes, c->pid));
        g_assert_null(explain(h.bus, c->pid));
        for (uint64_t end = now_usec() + 30000000; (error = explain(bus, c->pid)); sleep_msec(100)) {
                g_assert_cmpstr(error, ==, MERGEMEM_ERROR_LIMITS);
                g_assert_cmpuint(now_usec(), <, end);
                g_free(error);
        }
        child_end(c);
        sd_bus_close_unref(bus);
}

/* The name of the error of TryRule, or NULL. */
static char *try(sd_bus *bus)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *name;

        (void) sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                  "TryRule", &error, NULL, "a{sv}", 1, "Exe", "as", 1, h.target);
        name = g_strdup(error.name);
        sd_bus_error_free(&error);
        return name;
}

/* Rules that are tried are jobs like others. */
static void test_tried(void)
{
        struct child *c = child_start(&h, UID_OWN);
        char *error = NULL, *roots;
        unsigned n = 0;

        child_area(c, 100000, 7, 1);
        roots = job_start(h.bus, "Estimate", &(struct what){ .pids = &c->pid, .n_pids = 1 });
        for (; n < 100 && !error; n++)
                error = try(yes);
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_LIMITS);
        g_assert_cmpuint(n, <, 10);
        g_free(error);
        g_assert_null(try(h.bus));
        g_assert_cmpstr(job_wait(h.bus, roots), ==, "done");
        g_free(roots);
        child_end(c);
}

static unsigned count_turns(void)
{
        char *log = harness_log(&h);
        unsigned n = 0;

        for (const char *at = log; (at = strstr(at, "Rule \"slow\": a turn is over")); at++)
                n++;
        g_free(log);
        return n;
}

/* A user who always has jobs waiting, as far as he is let. */
static void ask_all_the_time(pid_t pid)
{
        const struct what what = { .pids = &pid, .n_pids = 1, .others = true };
        sd_bus *bus = harness_connect_as(&h, UID_YES);

        for (;;) {
                char *error = NULL, *job = job_try(bus, "Estimate", &what, &error);

                g_free(job);
                g_free(error);
        }
}

/* Nobody keeps rules from being worked on by asking for something else all the time, nor do their turns keep
 * others waiting for long. */
static void test_turns(void)
{
        struct child *c[2];
        pid_t pids[2], askers[3];
        uint64_t slowest = 0;
        unsigned before;

        harness_daemon_stop(&h);
        harness_rules_write(&h, "[Daemon]\nLogLevel=debug\nCpuQuota=400%\nIntervalSec=1\n"
                                "[Rule default]\nMinAgeSec=1w\n"
                                "[Rule slow]\nUser=nobody\nMerge=no\nMinAgeSec=0\nIntervalSec=1\n");
        harness_daemon_start(&h, "observe", NULL);
        children_start(&h, UID_OWN, c, pids, 2);
        for (size_t i = 0; i < 2; i++)
                child_area(c[i], 60000, 7, 1);
        for (size_t i = 0; i < ELEMENTSOF(askers); i++) {
                askers[i] = fork();
                if (askers[i] == 0)
                        ask_all_the_time(pids[0]);
        }
        sleep_msec(1000);
        before = count_turns();
        for (uint64_t end = now_usec() + 120000000; count_turns() < before + 2;) {
                uint64_t begin = now_usec();

                g_assert_cmpuint(begin, <, end);
                g_free(job_run(h.bus, "Estimate", &(struct what){ .pids = pids + 1, .n_pids = 1 }));
                slowest = MAX(slowest, now_usec() - begin);
                sleep_msec(2000);
        }
        for (size_t i = 0; i < ELEMENTSOF(askers); i++)
                spawn_kill(askers[i]);
        g_test_message("the slowest of root's estimates took %" G_GUINT64_FORMAT " ms", slowest / 1000);
        children_end(c, 2);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        polkit_start(&polkit, &h);
        harness_daemon_start(&h, NULL, NULL);
        own = harness_connect_as(&h, UID_OWN);
        yes = harness_connect_as(&h, UID_YES);
        g_test_add_func("/limits/jobs", test_jobs);
        g_test_add_func("/limits/order", test_order);
        g_test_add_func("/limits/no-reply", test_no_reply);
        g_test_add_func("/limits/budget", test_budget);
        g_test_add_func("/limits/explain", test_explain);
        g_test_add_func("/limits/tried", test_tried);
        g_test_add_func("/limits/turns", test_turns);
        status = g_test_run();
        sd_bus_close_unref(own);
        sd_bus_close_unref(yes);
        polkit_stop(&polkit);
        return harness_end(&h, status);
}
