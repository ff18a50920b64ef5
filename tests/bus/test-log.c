/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "children.h"
#include "client.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What LogMask= has the service say, on standard error and to a journal, which is played by a socket at
 * the journal's place in a mount namespace of this test's own. */

#define JOURNAL_DIR "/run/systemd/journal"

static struct harness h;
static int journal_fd = -EBADF;

static void open_journal(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = JOURNAL_DIR "/socket" };

        g_assert_cmpint(unshare(CLONE_NEWNS), ==, 0);
        g_assert_cmpint(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), ==, 0);
        g_assert_cmpint(mount("tmpfs", "/run", "tmpfs", 0, NULL), ==, 0);
        g_assert_cmpint(g_mkdir_with_parents(JOURNAL_DIR, 0755), ==, 0);
        journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        g_assert_cmpint(bind(journal_fd, (struct sockaddr *) &address, sizeof(address)), ==, 0);
}

/* All entries that have come; one after the other, each with its fields on lines of their own. */
static char *read_journal(void)
{
        GString *all = g_string_new(NULL);
        char entry[65536];
        ssize_t n;

        while ((n = recv(journal_fd, entry, sizeof(entry), 0)) > 0) {
                g_string_append_len(all, entry, n);
                g_string_append_c(all, '\n');
        }
        return g_string_free(all, FALSE);
}

static void start_daemon(unsigned mask, const char *const *environment)
{
        char *config = g_strdup_printf("[Daemon]\nLogMask=%u\n", mask);

        harness_config_write(&h, config);
        g_free(config);
        g_assert_true(g_file_set_contents(h.log, "", 0, NULL));
        harness_daemon_start(&h, NULL, environment);
}

/* What is said of an estimate of one process. */
static char *estimate(unsigned mask, pid_t pid, const char *const *environment)
{
        char *log;

        start_daemon(mask, environment);
        g_free(job_run(h.bus, "Estimate", &(struct what){ .pids = &pid, .n_pids = 1 }));
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        log = harness_log(&h);
        return log;
}

static void test_mask(void)
{
        static const char *const words[] = { "has found", "is selected", " anon ", " equal pages" };
        struct child *c = child_start(&h, UID_FIRST);

        child_area(c, 100, 5, 0);
        for (unsigned mask = 0; mask < 16; mask++) {
                char *log = estimate(mask, c->pid, NULL);

                for (unsigned i = 0; i < ELEMENTSOF(words); i++)
                        if (!strstr(log, words[i]) != !(mask & 1U << i))
                                g_error("LogMask=%u, \"%s\": %s", mask, words[i], log);
                g_free(log);
        }
        child_end(c);
}

static void assert_target(const char *expected)
{
        char *target = NULL;

        g_assert_cmpint(sd_bus_get_property_string(h.bus, MERGEMEM_BUS_NAME, "/org/freedesktop/LogControl1",
                                                   "org.freedesktop.LogControl1", "LogTarget", NULL,
                                                   &target),
                        >=, 0);
        g_assert_cmpstr(target, ==, expected);
        free(target);
}

static void test_journal(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        char *stream, *log, *journal, *pid = g_strdup_printf("MERGEMEM_PID=%d\n", (int) c->pid);
        struct stat st;

        child_area(c, 100, 5, 0);
        g_assert_cmpint(g_stat(h.log, &st), ==, 0);
        stream = g_strdup_printf("JOURNAL_STREAM=%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino);
        /* The file must stay the one that was named. */
        harness_config_write(&h, "[Daemon]\nLogMask=15\n");
        g_assert_cmpint(truncate(h.log, 0), ==, 0);
        harness_daemon_start(&h, NULL, (const char *[]){ stream, NULL });
        assert_target("journal");
        g_free(job_run(h.bus, "Estimate", &(struct what){ .pids = &c->pid, .n_pids = 1 }));
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        log = harness_log(&h);
        journal = read_journal();
        g_assert_null(strstr(log, "has found"));
        g_assert_nonnull(strstr(journal, "MESSAGE=Job 1 has found "));
        g_assert_nonnull(strstr(journal, "PRIORITY=6\n"));
        g_assert_nonnull(strstr(journal, "MERGEMEM_TYPE=estimate\n"));
        g_assert_nonnull(strstr(journal, "MERGEMEM_PROCESSES=1\n"));
        g_assert_nonnull(strstr(journal, "MERGEMEM_KIND=anon\n"));
        g_assert_nonnull(strstr(journal, "MERGEMEM_FRAMES=100\n"));
        g_assert_nonnull(strstr(journal, pid));
        g_free(journal);
        g_free(log);
        g_free(stream);
        g_free(pid);
        child_end(c);
}

/* What has been inherited of somebody else's standard error says nothing of ours. */
static void test_target(void)
{
        harness_daemon_start(&h, NULL, NULL);
        assert_target("console");
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        harness_daemon_start(&h, NULL, (const char *[]){ "JOURNAL_STREAM=1:2", NULL });
        assert_target("console");
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        open_journal();
        g_test_add_func("/log/mask", test_mask);
        g_test_add_func("/log/journal", test_journal);
        g_test_add_func("/log/target", test_target);
        status = g_test_run();
        safe_close(journal_fd);
        return harness_end(&h, status);
}
