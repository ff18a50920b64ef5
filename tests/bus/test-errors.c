/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "client.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What is asked wrongly is refused by the documented error, and nothing else happens. */

static struct harness h;

static void expect(const char *method, const struct what *what, const char *error)
{
        char *got = job_refused(h.bus, method, what);

        g_assert_cmpstr(got, ==, error);
        g_free(got);
}

static void test_unknown_library(void)
{
        static const char *const methods[] = { "Estimate", "Merge" };

        for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
                expect(methods[i], &(struct what){ .shlib = "libnosuch.so" },
                       MERGEMEM_ERROR_NO_SUCH_LIBRARY);
                expect(methods[i], &(struct what){ .shlib = "/nonexistent/libc.so" },
                       MERGEMEM_ERROR_NO_SUCH_LIBRARY);
        }
        /* More would be given back than that. */
        expect("Unmerge", &(struct what){ .shlib = "libnosuch.so" }, MERGEMEM_ERROR_BAD_SELECTOR);
        expect("Unmerge", &(struct what){ .user = "root", .shlib = "libc.so.6" },
               MERGEMEM_ERROR_BAD_SELECTOR);
}

static void test_unknown(void)
{
        static const char *const methods[] = { "Estimate", "Merge", "Unmerge" };
        const pid_t gone = 4194303;

        for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
                const char *m = methods[i];

                expect(m, &(struct what){ .exe = "/nonexistent/program" }, MERGEMEM_ERROR_NO_SUCH_PROGRAM);
                expect(m, &(struct what){ .comm = "no-such-comm" }, MERGEMEM_ERROR_NO_SUCH_PROGRAM);
                expect(m, &(struct what){ .cgroup = "/no/such/cgroup" }, MERGEMEM_ERROR_NO_SUCH_CGROUP);
                expect(m, &(struct what){ .unit = "no-such.service" }, MERGEMEM_ERROR_NO_SUCH_UNIT);
                expect(m, &(struct what){ .user = "no-such-user" }, MERGEMEM_ERROR_NO_SUCH_USER);
                expect(m, &(struct what){ .pids = &gone, .n_pids = 1 }, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        }
}

static void test_nothing_matches(void)
{
        struct child *c = child_start(&h, UID_FIRST);

        expect("Estimate", &(struct what){ .pids = &c->pid, .n_pids = 1, .user = "0" },
               MERGEMEM_ERROR_NOTHING_MATCHES);
        expect("Merge", &(struct what){ .pids = &c->pid, .n_pids = 1, .comm = "mergememd" },
               MERGEMEM_ERROR_NOTHING_MATCHES);
        child_end(c);
}

/* @types: what sd_bus_message_append() takes for one or more entries of a{sv}. */
static char *call_with(const char *types, ...)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL, *reply = NULL;
        va_list args;
        char *name;

        g_assert_cmpint(sd_bus_message_new_method_call(h.bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, "Estimate"), >=, 0);
        va_start(args, types);
        g_assert_cmpint(sd_bus_message_appendv(m, types, args), >=, 0);
        va_end(args);
        g_assert_cmpint(sd_bus_call(h.bus, m, 0, &error, &reply), <, 0);
        name = g_strdup(error.name);
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
        return name;
}

#define EXPECT_BAD(...)                                                      \
        ({                                                                   \
                g_test_message("%s", #__VA_ARGS__);                          \
                char *got_ = call_with(__VA_ARGS__);                         \
                g_assert_cmpstr(got_, ==, MERGEMEM_ERROR_BAD_SELECTOR);      \
                g_free(got_);                                                \
        })

static void test_bad_selectors(void)
{
        char *error;

        EXPECT_BAD("a{sv}", 0);
        EXPECT_BAD("a{sv}", 1, "pid", "as", 1, "1");
        EXPECT_BAD("a{sv}", 1, "pid", "u", (unsigned)getpid());
        EXPECT_BAD("a{sv}", 1, "pid", "au", 0);
        EXPECT_BAD("a{sv}", 1, "pid", "au", 1, 0U);
        EXPECT_BAD("a{sv}", 1, "pid", "au", 1, UINT32_MAX);
        EXPECT_BAD("a{sv}", 1, "comm", "au", 1, 1U);
        EXPECT_BAD("a{sv}", 1, "comm", "s", "x");
        EXPECT_BAD("a{sv}", 1, "comm", "as", 1, "");
        EXPECT_BAD("a{sv}", 1, "exe", "as", 1, "relative/path");
        EXPECT_BAD("a{sv}", 1, "shlib", "as", 1, "");
        EXPECT_BAD("a{sv}", 1, "cgroup", "as", 1, "../../etc");
        EXPECT_BAD("a{sv}", 1, "all", "s", "yes");
        EXPECT_BAD("a{sv}", 1, "all", "b", 0);
        EXPECT_BAD("a{sv}", 1, "colour", "s", "blue");
        EXPECT_BAD("a{sv}", 1, "trust", "s", "system");
        EXPECT_BAD("a{sv}", 2, "all", "b", 1, "trust", "s", "everybody");
        EXPECT_BAD("a{sv}", 2, "all", "b", 1, "trust", "b", 1);
        EXPECT_BAD("a{sv}", 2, "all", "b", 1, "mechanism", "s", "magic");

        /* What the interface does not even have is refused by the bus library. */
        error = call_with("s", "pid");
        g_assert_cmpstr(error, ==, SD_BUS_ERROR_INVALID_ARGS);
        g_free(error);
}

static void test_absurd(void)
{
        g_autofree pid_t *pids = g_new(pid_t, 1000000);
        g_autofree char *name = g_strnfill(1000000, 'x');
        char *error;

        for (size_t i = 0; i < 1000000; i++)
                pids[i] = (pid_t)(i % 4000000 + 1);
        error = job_refused(h.bus, "Estimate", &(struct what){ .pids = pids, .n_pids = 1000000 });
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_LIMITS);
        g_free(error);
        error = job_refused(h.bus, "Estimate", &(struct what){ .comm = name });
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_BAD_SELECTOR);
        g_free(error);
        error = job_refused(h.bus, "Estimate", &(struct what){ .shlib = name });
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_BAD_SELECTOR);
        g_free(error);
}

static void test_mechanisms(void)
{
        struct child *c = child_start(&h, UID_FIRST);

        expect("Merge", &(struct what){ .pids = &c->pid, .n_pids = 1, .mechanism = "direct" },
               MERGEMEM_ERROR_NOT_SUPPORTED);
        expect("Merge", &(struct what){ .pids = &c->pid, .n_pids = 1, .mechanism = "observe" },
               MERGEMEM_ERROR_NOT_SUPPORTED);
        child_end(c);
}

static int cancel(const char *job, char **ret_error)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(h.bus, MERGEMEM_BUS_NAME, job, MERGEMEM_JOB_INTERFACE, "Cancel", &error,
                                   NULL, NULL);

        if (ret_error)
                *ret_error = g_strdup(error.name);
        sd_bus_error_free(&error);
        return r;
}

static void test_cancel(void)
{
        struct child *c[3];
        pid_t pids[3];
        char *jobs[3], *error = NULL;

        children_start(&h, UID_FIRST, c, pids, 3);
        for (size_t i = 0; i < 3; i++)
                child_area(c[i], 20000, 7, 1);
        for (size_t i = 0; i < 3; i++)
                jobs[i] = job_start(h.bus, i == 0 ? "Merge" : "Estimate",
                                    &(struct what){ .pids = pids, .n_pids = 3 });

        /* One that waits, one that runs, and the last is left alone. */
        g_assert_cmpint(cancel(jobs[1], NULL), >=, 0);
        g_assert_cmpstr(job_wait(h.bus, jobs[1]), ==, "cancelled");
        g_assert_cmpint(cancel(jobs[0], NULL), >=, 0);
        g_assert_cmpstr(job_wait(h.bus, jobs[0]), ==, "cancelled");
        g_assert_cmpstr(job_wait(h.bus, jobs[2]), ==, "done");
        /* As far as it got. */
        g_assert_true(job_has(h.bus, jobs[0], "processes"));

        g_assert_cmpint(cancel(jobs[0], &error), <, 0);
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_NO_SUCH_JOB);
        g_free(error);
        g_assert_cmpint(cancel(MERGEMEM_JOB_PREFIX "/4000000000", &error), <, 0);
        g_assert_cmpstr(error, ==, SD_BUS_ERROR_UNKNOWN_OBJECT);
        g_free(error);

        job_undo(h.bus, &(struct what){ .pids = pids, .n_pids = 3 });
        children_verify(c, 3);
        children_end(c, 3);
        for (size_t i = 0; i < 3; i++)
                g_free(jobs[i]);
}

/* Nobody can have more jobs waiting than the service is willing to remember. */
static void test_limits(void)
{
        struct child *c[2];
        pid_t pids[2];
        GPtrArray *jobs = g_ptr_array_new_with_free_func(g_free);
        char *error = NULL;

        children_start(&h, UID_FIRST, c, pids, 2);
        child_area(c[0], 20000, 7, 1);
        child_area(c[1], 20000, 8, 1);
        for (unsigned i = 0; i < 10000 && !error; i++) {
                char *job = job_try(h.bus, "Estimate", &(struct what){ .pids = pids, .n_pids = 2 }, &error);

                if (job)
                        g_ptr_array_add(jobs, job);
        }
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_LIMITS);
        g_test_message("%u jobs at a time", jobs->len);
        g_free(error);
        for (size_t i = 0; i < jobs->len; i++)
                cancel(jobs->pdata[i], NULL);
        for (size_t i = 0; i < jobs->len; i++)
                job_wait(h.bus, jobs->pdata[i]);
        g_ptr_array_free(jobs, TRUE);
        /* And then it works again. */
        g_free(job_run(h.bus, "Estimate", &(struct what){ .pids = pids, .n_pids = 1 }));
        children_end(c, 2);
}

/* In a process of another user, whose wait status is 0 if @method was refused as it must be. */
static int ask_unprivileged(const char *method, const pid_t *pid)
{
        pid_t child = fork();

        if (child == 0) {
                sd_bus *bus;
                char *error = NULL, *job;

                if (setresgid(UID_SECOND, UID_SECOND, UID_SECOND) < 0 ||
                    setresuid(UID_SECOND, UID_SECOND, UID_SECOND) < 0)
                        _exit(10);
                bus = harness_connect(&h);
                job = job_try(bus, method, &(struct what){ .pids = pid, .n_pids = 1 }, &error);
                _exit(job ? 11 : streq(error, SD_BUS_ERROR_ACCESS_DENIED) ? 0 : 12);
        }
        return spawn_wait(child, 20000);
}

static void test_unprivileged(void)
{
        struct child *c = child_start(&h, UID_FIRST);

        g_assert_cmpint(ask_unprivileged("Merge", &c->pid), ==, 0);
        g_assert_cmpint(ask_unprivileged("Unmerge", &c->pid), ==, 0);
        g_assert_cmpint(ask_unprivileged("Estimate", &c->pid), ==, 0);
        child_end(c);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/errors/unknown-library", test_unknown_library);
        g_test_add_func("/errors/unknown", test_unknown);
        g_test_add_func("/errors/nothing-matches", test_nothing_matches);
        g_test_add_func("/errors/bad-selectors", test_bad_selectors);
        g_test_add_func("/errors/absurd", test_absurd);
        g_test_add_func("/errors/mechanisms", test_mechanisms);
        g_test_add_func("/errors/cancel", test_cancel);
        g_test_add_func("/errors/limits", test_limits);
        g_test_add_func("/errors/unprivileged", test_unprivileged);
        status = g_test_run();
        return harness_end(&h, status);
}
