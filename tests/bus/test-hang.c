/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sys/resource.h>

#include "children.h"
#include "client.h"
#include "frames.h"
#include "hangfs.h"
#include "shared/macro.h"
#include "shared/names.h"

/* A target whose memory cannot be looked at, because it waits for a dead file system while it holds
 * the lock of its address space: the bus answers at once all the time, the others are served. */

#define PAGES 200U
#define REPLY_MAX_USEC 100000U

static struct harness h;

/* Whether reading the target's smaps hangs: without that this test would prove nothing. */
static bool is_stuck(pid_t pid)
{
        char *path = g_strdup_printf("/proc/%d/smaps", (int)pid);
        pid_t reader = spawn(&(struct spawn){ .argv = (const char *[]){ "/bin/cat", path, NULL },
                                              .out = open("/dev/null", O_WRONLY | O_CLOEXEC) });
        bool ended = spawn_wait_maybe(reader, 500, NULL);

        if (!ended)
                spawn_kill(reader);
        g_free(path);
        return !ended;
}

static void wait_stuck(pid_t pid)
{
        for (uint64_t end = now_usec() + 20000000; !is_stuck(pid);)
                g_assert_cmpuint(now_usec(), <, end);
}

/* Asks for a property again and again while @job runs; the longest wait for an answer, and how many were
 * too long. */
static uint64_t longest_reply(const char *job, unsigned *ret_slow)
{
        uint64_t longest = 0;

        *ret_slow = 0;

        for (uint64_t end = now_usec() + 60000000; now_usec() < end;) {
                uint64_t start = now_usec();
                char *state = job_string(h.bus, job, "State"),
                     *mechanism = manager_string(h.bus, "Mechanism");
                bool over = streq(state, "done") || streq(state, "failed") || streq(state, "cancelled");

                longest = MAX(longest, now_usec() - start);
                *ret_slow += now_usec() - start >= REPLY_MAX_USEC;
                g_free(mechanism);
                g_free(state);
                if (over)
                        break;
                sleep_msec(1);
        }
        return longest;
}

static void test_hang(gconstpointer method)
{
        char *dir = g_build_filename(h.dir, "hang", NULL);
        struct hangfs fs;
        struct child *c[3];
        pid_t pids[3];
        struct pollfd p;
        uint64_t longest, left_out;
        unsigned slow;
        char *job;

        g_mkdir(dir, 0755);
        hangfs_start(&fs, dir);
        children_start(&h, UID_FIRST, c, pids, 3);
        for (size_t i = 0; i < 3; i++)
                child_area(c[i], PAGES, 95, 1);
        child_say(c[2], "hang 0 %s", fs.file);
        p = (struct pollfd){ .fd = fs.hung_fd, .events = POLLIN };
        g_assert_cmpint(poll(&p, 1, 10000), ==, 1);
        wait_stuck(pids[2]);

        for (unsigned round = 0; round < 2; round++) {
                job = job_start(h.bus, method, &(struct what){ .pids = pids, .n_pids = 3 });
                longest = longest_reply(job, &slow);
                g_test_message("longest reply: %" G_GUINT64_FORMAT " us", longest);
                /* Whoever waits for the target does so for 2 s; a machine that has other things to do as
                 * well is late now and then. */
                g_assert_cmpuint(longest, <, 10 * REPLY_MAX_USEC);
                g_assert_cmpuint(slow, <=, 2);
                g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
                /* The second time it need not be tried at all. */
                left_out = job_reason(h.bus, job, "skipped", NULL);
                if (round > 0)
                        left_out += job_reason(h.bus, job, "excluded", NULL);
                g_assert_cmpuint(left_out, ==, 1);
                g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames") +
                                         job_figure(h.bus, job, "ksm_pages"),
                                 >=, PAGES);
                g_free(job);
        }
        children_verify(c, 2);
        job_undo(h.bus, &(struct what){ .pids = pids, .n_pids = 2 });

        hangfs_stop(&fs, dir);
        children_end(c, 3);
        g_rmdir(dir);
        g_free(dir);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        *(sd_bus_message **)userdata = sd_bus_message_ref(m);
        return 0;
}

/* The answer to @call, while properties are asked for. */
static sd_bus_message *answer_meanwhile(sd_bus *bus, sd_bus_message *call)
{
        sd_bus_message *reply = NULL;
        uint64_t end = now_usec() + 60000000;
        unsigned n_slow = 0;

        g_assert_cmpint(sd_bus_call_async(bus, NULL, call, on_reply, &reply, 0), >=, 0);
        while (!reply) {
                uint64_t start = now_usec();
                char *mechanism = manager_string(h.bus, "Mechanism");

                n_slow += now_usec() - start >= REPLY_MAX_USEC;
                g_free(mechanism);
                while (sd_bus_process(bus, NULL) > 0)
                        ;
                g_assert_cmpuint(now_usec(), <, end);
                sleep_msec(1);
        }
        g_assert_cmpuint(n_slow, <=, 2);
        return reply;
}

/* Rows of an answer to Memory, and those of processes that could not be looked at. */
static void count_rows(sd_bus_message *m, unsigned *ret_n, unsigned *ret_unread)
{
        *ret_n = *ret_unread = 0;
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(sutttta{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "sutttta{sv}") > 0) {
                uint64_t rss;

                g_assert_cmpint(sd_bus_message_read(m, "sutttt", NULL, NULL, &rss, NULL, NULL, NULL), >, 0);
                g_assert_cmpint(sd_bus_message_skip(m, "a{sv}"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
                ++*ret_n;
                *ret_unread += rss == 0;
        }
}

/* The list says of the process why it is left alone. */
static void assert_listed_as_hung(pid_t pid)
{
        char *bus = g_strconcat("--bus=", h.address, NULL), *text;
        char *option = g_strdup_printf("--pid=%d", (int) pid);
        const char *argv[] = { h.ctl, bus, "list", "processes", option, "--json=short", NULL };

        g_assert_cmpint(spawn_run(&(struct spawn){ .argv = argv }, 60000, &text), ==, 0);
        g_test_message("%s", text);
        g_assert_nonnull(strstr(text, "\"did not answer lately\""));
        g_free(text);
        g_free(option);
        g_free(bus);
}

/* Looks at what pagemap tells: of the one there is nothing to be told, of the others there is. */
static void test_pagemap(gconstpointer method)
{
        char *dir = g_build_filename(h.dir, "hang", NULL);
        sd_bus *bus = harness_connect(&h);
        struct child *c[3];
        struct hangfs fs;
        struct pollfd p;
        pid_t pids[3];

        g_mkdir(dir, 0755);
        hangfs_start(&fs, dir);
        children_start(&h, UID_FIRST, c, pids, 3);
        child_say(c[2], "hang 0 %s", fs.file);
        p = (struct pollfd){ .fd = fs.hung_fd, .events = POLLIN };
        g_assert_cmpint(poll(&p, 1, 10000), ==, 1);
        wait_stuck(pids[2]);

        /* The second time it need not be tried at all. */
        for (unsigned round = 0; round < 2; round++) {
                sd_bus_message *call, *reply;

                g_assert_cmpint(sd_bus_message_new_method_call(bus, &call, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                               MERGEMEM_MANAGER_INTERFACE, method),
                                >=, 0);
                if (streq(method, "Memory")) {
                        g_assert_cmpint(what_append(call, &(struct what){ .pids = pids, .n_pids = 3 }), >=,
                                        0);
                        g_assert_cmpint(sd_bus_message_append(call, "s", "process"), >=, 0);
                } else
                        /* Who shares with the first is asked of all. */
                        g_assert_cmpint(
                                sd_bus_message_append(call, "ua{sv}",
                                                      (uint32_t) pids[streq(method, "Pages") ? 2 : 0], 0),
                                >=, 0);
                reply = answer_meanwhile(bus, call);
                if (streq(method, "Pages")) {
                        g_assert_true(sd_bus_message_is_method_error(reply, MERGEMEM_ERROR_FAILED) > 0);
                        g_test_message("%s", sd_bus_message_get_error(reply)->message);
                } else
                        g_assert_true(sd_bus_message_is_method_error(reply, NULL) == 0);
                if (streq(method, "Memory")) {
                        unsigned n, n_unread;

                        count_rows(reply, &n, &n_unread);
                        g_assert_cmpuint(n, ==, 3);
                        g_assert_cmpuint(n_unread, ==, 1);
                }
                sd_bus_message_unref(reply);
                sd_bus_message_unref(call);
        }
        assert_listed_as_hung(pids[2]);
        hangfs_stop(&fs, dir);
        children_end(c, 3);
        sd_bus_flush_close_unref(bus);
        g_rmdir(dir);
        g_free(dir);
}

/* One of another user cannot be asked whether it has registered memory, which ours could then meet. */
static void test_other_domain(void)
{
        char *dir = g_build_filename(h.dir, "hang", NULL), *error;
        struct child *c[3];
        struct hangfs fs;
        struct pollfd p;
        pid_t pids[3];

        g_mkdir(dir, 0755);
        hangfs_start(&fs, dir);
        children_start(&h, UID_FIRST, c, pids, 2);
        children_start(&h, UID_SECOND, c + 2, pids + 2, 1);
        for (size_t i = 0; i < 3; i++)
                child_area(c[i], PAGES, 95, 1);
        child_say(c[2], "hang 0 %s", fs.file);
        p = (struct pollfd){ .fd = fs.hung_fd, .events = POLLIN };
        g_assert_cmpint(poll(&p, 1, 10000), ==, 1);
        wait_stuck(pids[2]);

        for (unsigned round = 0; round < 2; round++) {
                error = job_refused(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 2 });
                g_assert_cmpstr(error, ==, MERGEMEM_ERROR_DOMAIN_BUSY);
                g_free(error);
                frames_assert_unregistered(pids[0]);
        }
        hangfs_stop(&fs, dir);
        children_end(c, 3);
        g_rmdir(dir);
        g_free(dir);
}

/* However many there are: each is met once, and the others are served. */
static void test_many(void)
{
        enum { MANY = 20 };
        unsigned n = test_rounds(6) >= 1000 ? MANY : 4;
        char *dir = g_build_filename(h.dir, "hang", NULL), *job;
        struct child *c[MANY + 2];
        pid_t pids[MANY + 2];
        struct hangfs fs;
        struct pollfd p;
        char answer;

        g_mkdir(dir, 0755);
        hangfs_start(&fs, dir);
        children_start(&h, UID_FIRST, c, pids, n + 2);
        for (size_t i = 0; i < n + 2; i++)
                child_area(c[i], PAGES, 95, 1);
        for (size_t i = 0; i < n; i++) {
                child_say(c[i], "hang %zu %s", 2 * i, fs.file);
                p = (struct pollfd){ .fd = fs.hung_fd, .events = POLLIN };
                g_assert_cmpint(poll(&p, 1, 10000), ==, 1);
                g_assert_cmpint(read(fs.hung_fd, &answer, 1), ==, 1);
                wait_stuck(pids[i]);
        }
        job = job_start(h.bus, "Estimate", &(struct what){ .all = true, .exe = h.target });
        g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
        g_assert_cmpuint(job_reason(h.bus, job, "skipped", NULL), ==, n);
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), >=, PAGES);
        g_free(job);
        hangfs_stop(&fs, dir);
        children_end(c, n + 2);
        g_rmdir(dir);
        g_free(dir);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        /* What is measured is the service, not how busy the machine is. */
        g_assert_cmpint(setpriority(PRIO_PROCESS, 0, -20), ==, 0);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_data_func("/hang/estimate", "Estimate", test_hang);
        g_test_add_data_func("/hang/merge", "Merge", test_hang);
        g_test_add_func("/hang/other-domain", test_other_domain);
        g_test_add_func("/hang/many", test_many);
        g_test_add_data_func("/hang/memory", "Memory", test_pagemap);
        g_test_add_data_func("/hang/pages", "Pages", test_pagemap);
        g_test_add_data_func("/hang/sharing", "Sharing", test_pagemap);
        status = g_test_run();
        return harness_end(&h, status);
}
