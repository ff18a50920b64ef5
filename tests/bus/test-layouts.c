/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "layout-caller.h"
#include "shared/macro.h"
#include "shared/names.h"

/* Secrets of layout groups: who gets which, and where they are kept. */

static struct layout_harness l;

static void test_unit(void)
{
        struct answer root = layout_asked(&l, 0, l.unit, ""), own = layout_asked(&l, UID_OWN, l.unit, "");
        struct answer again, other, named;

        layout_expect(&root, l.unit);
        layout_expect(&own, l.unit);
        again = layout_asked(&l, UID_OWN, l.unit, "");
        layout_expect(&again, l.unit);
        g_assert_true(layout_same(&own, &again));
        again = layout_asked(&l, 0, l.unit, "");
        g_assert_true(layout_same(&root, &again));

        /* Another user, another l.unit, and somebody who only calls it so, do not get it. */
        g_assert_false(layout_same(&root, &own));
        other = layout_asked(&l, UID_NO, l.unit, "");
        layout_expect(&other, l.unit);
        g_assert_false(layout_same(&own, &other));
        other = layout_asked(&l, UID_OWN, l.other_unit, "");
        layout_expect(&other, l.other_unit);
        g_assert_false(layout_same(&own, &other));
        named = layout_asked(&l, UID_OWN, l.other_unit, l.unit);
        layout_expect(&named, l.unit);
        g_assert_false(layout_same(&own, &named));
}

static void test_named(void)
{
        struct answer a = layout_asked(&l, UID_OWN, l.no_unit, "fleet");
        struct answer b = layout_asked(&l, UID_OWN, l.unit, "fleet");
        struct answer c = layout_asked(&l, UID_NO, l.no_unit, "fleet");
        struct answer d = layout_asked(&l, UID_OWN, l.no_unit, "fleet-2");

        layout_expect(&a, "fleet");
        layout_expect(&c, "fleet");
        layout_expect(&d, "fleet-2");
        g_assert_true(layout_same(&a, &b));
        g_assert_false(layout_same(&a, &c));
        g_assert_false(layout_same(&a, &d));
}

static void expect_error(const struct answer *a, const char *name, const char *word)
{
        g_assert_cmpstr(a->error, ==, name);
        g_test_message("%s", a->message);
        g_assert_nonnull(strstr(a->message, word));
}

static void test_refused(void)
{
        char *longer = g_strnfill(LAYOUT_NAME_MAX + 1, 'a'), *longest = g_strnfill(LAYOUT_NAME_MAX, 'a');
        static const char *const bad[] = { "a b", "a/b", "../x", "\xc3\xa4", "a\n" };
        struct answer a = layout_asked(&l, UID_OWN, l.no_unit, "");

        expect_error(&a, MERGEMEM_ERROR_NO_SUCH_UNIT, l.no_unit);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                a = layout_asked(&l, UID_OWN, l.unit, bad[i]);
                expect_error(&a, MERGEMEM_ERROR_BAD_LAYOUT, "255");
        }
        a = layout_asked(&l, UID_OWN, l.unit, longer);
        expect_error(&a, MERGEMEM_ERROR_BAD_LAYOUT, "255");
        a = layout_asked(&l, UID_OWN, l.unit, longest);
        layout_expect(&a, longest);
        g_free(longer);
        g_free(longest);
}

/* Connects and ends; its child asks. */
static void leave_connection(int out)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        pid_t parent = getpid();
        sd_bus *bus = NULL;
        struct answer a;
        int fd;

        g_strlcpy(address.sun_path, l.h.address + strlen("unix:path="), sizeof(address.sun_path));
        layout_join(&l, l.unit);
        layout_become(UID_OWN);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g_assert_cmpint(connect(fd, (struct sockaddr *) &address, sizeof(address)), ==, 0);
        if (fork() > 0)
                _exit(0);
        prctl(PR_SET_PDEATHSIG, 0);
        while (getppid() == parent)
                sleep_msec(5);
        g_assert_cmpint(sd_bus_new(&bus), >=, 0);
        g_assert_cmpint(sd_bus_set_fd(bus, fd, fd), >=, 0);
        g_assert_cmpint(sd_bus_set_bus_client(bus, 1), >=, 0);
        g_assert_cmpint(sd_bus_start(bus), >=, 0);
        layout_ask(bus, "", &a);
        g_assert_cmpint(write(out, &a, sizeof(a)), ==, sizeof(a));
        _exit(0);
}

/* Who asks in another's place: a connection that outlives its process, and one of a process that is of
 * another user than its connection. */
static void test_not_there(void)
{
        sd_bus *bus = harness_connect_as(&l.h, UID_OWN);
        int answer[2];
        struct answer a;
        pid_t pid;

        layout_ask(bus, "", &a);
        expect_error(&a, MERGEMEM_ERROR_NO_SUCH_PROCESS, "not there");
        layout_ask(bus, "fleet", &a);
        expect_error(&a, MERGEMEM_ERROR_NO_SUCH_PROCESS, "not there");
        sd_bus_close_unref(bus);

        g_assert_cmpint(pipe2(answer, O_CLOEXEC), ==, 0);
        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0)
                leave_connection(answer[1]);
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
        g_assert_cmpint(read(answer[0], &a, sizeof(a)), ==, sizeof(a));
        expect_error(&a, MERGEMEM_ERROR_NO_SUCH_PROCESS, "not there");
        safe_close(answer[0]);
        safe_close(answer[1]);
}

/* All that is written down, as a user sees it: nothing. */
static void expect_private(const char *path)
{
        struct stat st;

        g_assert_cmpint(lstat(path, &st), ==, 0);
        g_assert_cmpint(st.st_uid, ==, 0);
        g_assert_cmpint(st.st_mode & 07777, ==, S_ISDIR(st.st_mode) ? 0700 : 0600);
        g_assert_cmpint(seteuid(UID_OWN), ==, 0);
        g_assert_cmpint(open(path, O_RDONLY | O_CLOEXEC), ==, -1);
        g_assert_cmpint(errno, ==, EACCES);
        g_assert_cmpint(seteuid(0), ==, 0);
}

static char *file_of(const struct answer *a, char **ret_text)
{
        char *dir = g_build_filename(l.h.dir, "run", LAYOUT_DIRECTORY, NULL), *line = NULL, *found = NULL;
        GString *hex = g_string_new("\nsecret ");
        GDir *d = g_dir_open(dir, 0, NULL);
        const char *name;

        for (size_t i = 0; i < sizeof(a->secret); i++)
                g_string_append_printf(hex, "%02x", a->secret[i]);
        line = g_string_free(hex, FALSE);
        expect_private(dir);
        while ((name = g_dir_read_name(d))) {
                char *path = g_build_filename(dir, name, NULL), *text = NULL;

                expect_private(path);
                g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
                if (!found && strstr(text, line)) {
                        found = g_strdup(path);
                        *ret_text = text;
                } else
                        g_free(text);
                g_free(path);
        }
        g_dir_close(d);
        g_free(line);
        g_free(dir);
        g_assert_nonnull(found);
        return found;
}

static void test_restart(void)
{
        struct answer own = layout_asked(&l, UID_OWN, l.unit, ""), root = layout_asked(&l, 0, l.unit, "");
        struct answer again;

        g_assert_cmpint(harness_daemon_stop(&l.h), ==, 0);
        harness_daemon_start(&l.h, "observe", NULL);
        again = layout_asked(&l, UID_OWN, l.unit, "");
        g_assert_true(layout_same(&own, &again));
        again = layout_asked(&l, 0, l.unit, "");
        g_assert_true(layout_same(&root, &again));

        /* As it dies. */
        g_assert_cmpint(kill(l.h.daemon_pid, SIGKILL), ==, 0);
        spawn_wait(TAKE_GENERIC(l.h.daemon_pid, 0), 10000);
        harness_daemon_start(&l.h, "observe", NULL);
        again = layout_asked(&l, UID_OWN, l.unit, "");
        g_assert_true(layout_same(&own, &again));
}

static void test_damaged(void)
{
        struct answer own = layout_asked(&l, UID_OWN, l.unit, "");
        struct answer other = layout_asked(&l, UID_NO, l.unit, ""), again;
        char *text = NULL, *path = file_of(&own, &text), *aside = g_strconcat(path, ".damaged", NULL), *log;

        g_assert_cmpint(harness_daemon_stop(&l.h), ==, 0);
        strstr(text, "\nsecret ")[10] ^= 1;
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
        g_assert_cmpint(chmod(path, 0600), ==, 0);
        harness_daemon_start(&l.h, "observe", NULL);
        log = harness_log(&l.h);
        g_assert_nonnull(strstr(log, "is damaged, or not root's alone"));
        g_assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));
        again = layout_asked(&l, UID_OWN, l.unit, "");
        layout_expect(&again, l.unit);
        g_assert_false(layout_same(&own, &again));
        again = layout_asked(&l, UID_NO, l.unit, "");
        g_assert_true(layout_same(&other, &again));
        g_free(log);
        g_free(text);
        g_free(path);
        g_free(aside);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        layout_harness_start(&l);
        g_test_add_func("/layouts/unit", test_unit);
        g_test_add_func("/layouts/named", test_named);
        g_test_add_func("/layouts/refused", test_refused);
        g_test_add_func("/layouts/not-there", test_not_there);
        g_test_add_func("/layouts/restart", test_restart);
        g_test_add_func("/layouts/damaged", test_damaged);
        return layout_harness_end(&l, g_test_run());
}
