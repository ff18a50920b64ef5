/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/mount.h>

#include "children.h"
#include "client.h"
#include "hangfs.h"
#include "shared/macro.h"
#include "shared/names.h"

/* Rules with Merge=never of which nobody can say whom they are about, since the database of users or a file
 * system fails or hangs: what they may be about is left alone, the rest is not, the bus answers, and the
 * journal has one line. */

#define N 2U
/* Not in the files of the machine, and so only our database can know them; one for each mood of it. */
#define UID_DOUBTED 4711U
/* In the files. */
#define UID_KNOWN UID_FIRST
#define REPLY_MAX_USEC 1000000U

static struct harness h;
static char *mood;

static void set_mood(const char *text)
{
        g_assert_true(g_file_set_contents(mood, text, -1, NULL));
}

static unsigned count_in_log(const char *what)
{
        char *log = harness_log(&h);
        unsigned n = 0;

        for (const char *at = log; (at = strstr(at, what)); at++)
                n++;
        g_free(log);
        return n;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        *(sd_bus_message **)userdata = sd_bus_message_ref(m);
        return 0;
}

/* Whether an estimate leaves them alone. The bus answers while that is found out. */
static void assert_left_alone(const pid_t *pids, bool left)
{
        const struct what what = { .pids = pids, .n_pids = N, .all = true };
        sd_bus *second = harness_connect(&h);
        sd_bus_message *m = NULL, *reply = NULL;
        uint64_t longest = 0;
        const char *job;

        g_assert_cmpint(sd_bus_message_new_method_call(second, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, "Estimate"), >=, 0);
        g_assert_cmpint(what_append(m, &what), >=, 0);
        g_assert_cmpint(sd_bus_call_async(second, NULL, m, on_reply, &reply, 0), >=, 0);
        while (!reply) {
                uint64_t begin = now_usec();

                g_free(manager_string(h.bus, "Mechanism"));
                longest = MAX(longest, now_usec() - begin);
                g_assert_cmpint(sd_bus_process(second, NULL), >=, 0);
                sleep_msec(1);
        }
        g_test_message("longest reply: %" G_GUINT64_FORMAT " us", longest);
        g_assert_cmpuint(longest, <, REPLY_MAX_USEC);
        if (left) {
                g_assert_true(sd_bus_message_is_method_error(reply, MERGEMEM_ERROR_NOTHING_MATCHES));
        } else {
                g_assert_cmpint(sd_bus_message_read(reply, "o", &job), >, 0);
                g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
        }
        sd_bus_message_unref(reply);
        sd_bus_message_unref(m);
        sd_bus_close_unref(second);
}

static void assert_excluded(pid_t pid, const char *expected)
{
        sd_bus_message *m = NULL;
        const char *key, *text = NULL;

        g_assert_cmpint(sd_bus_call_method(h.bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                           MERGEMEM_MANAGER_INTERFACE, "Explain", NULL, &m, "u",
                                           (uint32_t)pid), >=, 0);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while (!text && sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                g_assert_cmpint(streq(key, "excluded") ? sd_bus_message_read(m, "v", "s", &text)
                                                       : sd_bus_message_skip(m, "v"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        g_assert_cmpstr(text, ==, expected);
        sd_bus_message_unref(m);
}

static void test_user(void)
{
        static const struct {
                const char *mood, *excluded;
                unsigned n_lines;
        } samples[] = {
                { "f", "cannot be told whether a rule says never", 1 },
                { "n", "", 0 },
                { "h", "cannot be told whether a rule says never", 1 },
                { "a", "a rule says never", 0 },
        };
        struct child *doubted[N], *known[N];
        pid_t doubted_pids[N], known_pids[N];

        children_start(&h, UID_KNOWN, known, known_pids, N);
        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                children_start(&h, UID_DOUBTED + (uid_t)i, doubted, doubted_pids, N);
                g_test_message("the database: %s", samples[i].mood);
                set_mood(samples[i].mood);
                harness_configure(&h, "[Rule a]\nUser=alice\nMerge=never\n");
                assert_left_alone(doubted_pids, *samples[i].excluded);
                assert_left_alone(known_pids, false);
                assert_excluded(doubted_pids[0], samples[i].excluded);
                assert_excluded(known_pids[0], "");
                g_assert_cmpuint(count_in_log("is called cannot be found out"), ==, samples[i].n_lines);
                children_end(doubted, N);
        }
        children_end(known, N);
}

static void test_path(void)
{
        static const struct {
                const char *path;
                bool doubted;
        } samples[] = {
                { "page/none", false },
                { HANGFS_DENIED, true },
                { HANGFS_GONE, true },
        };
        char *dir = g_build_filename(h.dir, "hang", NULL);
        struct child *c[N], *other[N];
        pid_t pids[N], other_pids[N];
        struct hangfs fs;

        set_mood("n");
        g_mkdir(dir, 0755);
        hangfs_start(&fs, dir);
        children_start(&h, UID_KNOWN, c, pids, N);
        children_start(&h, UID_SECOND, other, other_pids, N);
        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                char *text = g_strdup_printf("[Rule a]\nExe=%s/%s\nUser=%u\nMerge=never\n", dir,
                                             samples[i].path, UID_KNOWN);

                g_test_message("%s", samples[i].path);
                harness_configure(&h, text);
                assert_left_alone(pids, samples[i].doubted);
                assert_left_alone(other_pids, false);
                assert_excluded(pids[0],
                                samples[i].doubted ? "cannot be told whether a rule says never" : "");
                g_assert_cmpuint(count_in_log("and where that leads cannot be found out"), ==,
                                 samples[i].doubted);
                g_free(text);
        }
        hangfs_stop(&fs, dir);
        /* An answer again: there is no such file. */
        g_assert_cmpint(kill(h.daemon_pid, SIGHUP), ==, 0);
        for (uint64_t end = now_usec() + 10000000; count_in_log("Configuration read again.") < 2;) {
                g_assert_cmpuint(now_usec(), <, end);
                sleep_msec(10);
        }
        assert_left_alone(pids, false);
        children_end(c, N);
        children_end(other, N);
        g_rmdir(dir);
        g_free(dir);
}

int main(int argc, char **argv)
{
        char *config, *path, *doubt;
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        mood = g_build_filename(h.dir, "mood", NULL);
        set_mood("n");
        config = g_build_filename(h.dir, "nsswitch.conf", NULL);
        g_assert_true(g_file_set_contents(config, "passwd: files doubt\n", -1, NULL));
        if (mount(config, "/etc/nsswitch.conf", NULL, MS_BIND, NULL) < 0)
                g_error("/etc/nsswitch.conf: %m");
        path = g_strconcat("LD_LIBRARY_PATH=", TEST_NSS_DIR, NULL);
        doubt = g_strconcat("NSS_DOUBT=", mood, NULL);
        harness_daemon_start(&h, "observe", (const char *[]){ path, doubt, NULL });
        g_test_add_func("/doubt/user", test_user);
        g_test_add_func("/doubt/path", test_path);
        status = g_test_run();
        umount2("/etc/nsswitch.conf", MNT_DETACH);
        g_free(doubt);
        g_free(path);
        g_free(config);
        g_free(mood);
        return harness_end(&h, status);
}
