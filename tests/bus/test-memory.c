/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <signal.h>

#include "children.h"
#include "frames.h"
#include "memory-call.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What the service tells of memory, against the kernel's own figures. */

#define PAGE 4096U
#define PAGES 300U
#define HUGE_PAGES 2048U

static struct harness h;

static uint64_t smaps_field(const char *text, const char *name)
{
        char *key = g_strdup_printf("\n%s:", name);
        const char *at = strstr(text, key);
        uint64_t value = at ? g_ascii_strtoull(at + strlen(key), NULL, 10) : 0;

        g_free(key);
        return value * 1024;
}

/* What the kernel says, in whole KiB. */
static struct usage kernel_says(pid_t pid)
{
        char *path = g_strdup_printf("/proc/%d/smaps_rollup", (int)pid), *text;
        struct usage u;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        u = (struct usage){
                .rss = smaps_field(text, "Rss"),
                .pss = smaps_field(text, "Pss"),
                .uss = smaps_field(text, "Private_Clean") + smaps_field(text, "Private_Dirty"),
                .swap = smaps_field(text, "Swap"),
                .ksm = smaps_field(text, "KSM"),
        };
        g_free(text);
        g_free(path);
        return u;
}

/* To the byte; only fractions of KiB the kernel does not tell. Others may come to map the same files while
 * we look, and end: then it is tried again. */
static void assert_exact(pid_t pid)
{
        const struct what his = { .pids = &pid, .n_pids = 1 };

        for (unsigned i = 0;; i++) {
                struct usage kernel, u;

                memory_row(h.bus, &his, "process", pid, NULL, &u);
                kernel = kernel_says(pid);
                u.pss -= u.pss % 1024;
                if (u.rss == kernel.rss && u.pss == kernel.pss && u.uss == kernel.uss &&
                    u.swap == kernel.swap && u.ksm == kernel.ksm)
                        return;
                g_test_message("%d: RSS %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT " PSS %" G_GUINT64_FORMAT
                               "/%" G_GUINT64_FORMAT " USS %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT
                               " KSM %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, (int)pid, u.rss, kernel.rss,
                               u.pss, kernel.pss, u.uss, kernel.uss, u.ksm, kernel.ksm);
                g_assert_cmpuint(i, <, 50);
                sleep_msec(20);
        }
}

static void test_exact(void)
{
        struct child *c[3];
        pid_t pids[5];
        char *answer;

        children_start(&h, UID_FIRST, c, pids, 3);
        for (size_t i = 0; i < 3; i++) {
                child_area(c[i], PAGES, 41, 1);
                child_say(c[i], "load %s 5", h.library);
        }
        /* Huge pages, and what two children have inherited of all that, with some of it written to. */
        answer = child_ask(c[0], "map %u", HUGE_PAGES);
        child_say(c[0], "huge %s", answer);
        child_say(c[0], "fill %s 9 1", answer);
        pids[3] = child_fork(c[0]);
        pids[4] = child_fork(c[0]);
        child_say(c[0], "child 0 write 0 7 100 1");
        child_say(c[0], "child 1 write %s 700 100 1", answer);
        g_free(answer);
        for (size_t i = 0; i < 5; i++)
                g_assert_cmpint(kill(pids[i], SIGSTOP), ==, 0);
        for (size_t i = 0; i < 5; i++)
                assert_exact(pids[i]);
        for (size_t i = 0; i < 5; i++)
                g_assert_cmpint(kill(pids[i], SIGCONT), ==, 0);

        /* The same where KSM has a part in it. */
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 3 }));
        for (size_t i = 0; i < 5; i++)
                g_assert_cmpint(kill(pids[i], SIGSTOP), ==, 0);
        for (size_t i = 0; i < 5; i++)
                assert_exact(pids[i]);
        for (size_t i = 1; i < 3; i++) {
                struct usage u;

                memory_row(h.bus, &(struct what){ .pids = pids, .n_pids = 5 }, "process", pids[i], NULL, &u);
                g_assert_cmpuint(u.ksm, >=, PAGES * PAGE);
        }
        for (size_t i = 0; i < 5; i++)
                g_assert_cmpint(kill(pids[i], SIGCONT), ==, 0);
        job_undo(h.bus, &(struct what){ .pids = pids, .n_pids = 5 });
        children_verify(c, 3);
        children_end(c, 3);
}

/* However it is put together it is the same memory. */
static void test_by(void)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        static const char *const kinds[] = { "program", "user", "cgroup", "library" };
        struct child *c[2], *other = child_start(&h, UID_SECOND);
        struct usage each, u;
        struct what what;
        pid_t pids[3];

        children_start(&h, UID_FIRST, c, pids, 2);
        pids[2] = other->pid;
        for (size_t i = 0; i < 2; i++) {
                child_area(c[i], PAGES, 3, 1);
                child_say(c[i], "load %s 5", h.library);
        }
        what = (struct what){ .pids = pids, .n_pids = 3 };
        g_assert_cmpuint(memory_row(h.bus, &what, "process", 0, NULL, &each), ==, 3);
        g_assert_cmpuint(each.processes, ==, 3);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                g_test_message("%s", kinds[i]);
                memory_row(h.bus, &what, kinds[i], 0, NULL, &u);
                g_assert_cmpuint(u.rss, ==, each.rss);
                g_assert_cmpuint(u.swap, ==, each.swap);
                g_assert_cmpuint(u.unread, ==, 0);
        }
        g_assert_cmpuint(memory_row(h.bus, &what, "program", 0, "/mm-target", &u), ==, 1);
        g_assert_cmpuint(u.processes, ==, 3);
        g_assert_cmpuint(memory_row(h.bus, &what, "user", 0, "nobody", &u), ==, 2);
        g_assert_cmpuint(u.processes, ==, 2);
        g_assert_cmpuint(u.uss, >=, 2 * PAGES * PAGE);
        memory_row(h.bus, &what, "library", 0, h.library, &u);
        g_assert_cmpuint(u.processes, ==, 2);
        g_assert_cmpuint(u.uss, >=, 2 * 60 * PAGE);
        g_assert_cmpuint(u.uss, <, 2 * PAGES * PAGE);
        each = u;

        /* A library narrows it down to what is its own, in those who have it. */
        what.shlib = "libtarget";
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                memory_row(h.bus, &what, kinds[i], 0, NULL, &u);
                g_assert_cmpuint(u.processes, ==, 2);
                g_assert_cmpuint(u.rss, ==, each.rss);
                g_assert_cmpuint(u.uss, ==, each.uss);
        }
        g_assert_cmpuint(memory_row(h.bus, &what, "process", 0, NULL, &u), ==, 2);
        g_assert_cmpuint(u.rss, ==, each.rss);
        what.shlib = "libnowhere";
        g_assert_null(memory_call(h.bus, &what, "process", &error));
        g_assert_cmpstr(error.name, ==, MERGEMEM_ERROR_NO_SUCH_LIBRARY);
        sd_bus_error_free(&error);
        children_end(c, 2);
        child_end(other);
}

static void test_errors(void)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        g_assert_null(memory_call(h.bus, &(struct what){ 0 }, "weight", &error));
        g_assert_cmpstr(error.name, ==, MERGEMEM_ERROR_BAD_SELECTOR);
        g_assert_nonnull(strstr(error.message, "weight"));
        sd_bus_error_free(&error);
}

/* Processes that come and go meanwhile are no error. */
static void test_vanished(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        struct usage u;

        child_send(c, "churn 200");
        for (unsigned i = 0; i < 10; i++)
                memory_row(h.bus, &(struct what){ .exe = h.target }, i % 2 == 0 ? "process" : "library", 0,
                       NULL, &u);
        g_free(child_hear(c, 60000));
        memory_row(h.bus, &(struct what){ .exe = h.target }, "process", 0, NULL, &u);
        g_assert_cmpuint(u.processes, ==, 1);
        child_end(c);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/memory/exact", test_exact);
        g_test_add_func("/memory/by", test_by);
        g_test_add_func("/memory/errors", test_errors);
        g_test_add_func("/memory/vanished", test_vanished);
        status = g_test_run();
        return harness_end(&h, status);
}
