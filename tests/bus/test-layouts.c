/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "client.h"
#include "daemon/layout.h"
#include "json.h"
#include "polkit.h"
#include "shared/macro.h"
#include "shared/names.h"

/* Secrets of layout groups: who gets which, and who gets to know of them. */

static struct harness h;
static struct polkit polkit;
static char *cgroups; /* a mount of the cgroup v2 tree */
static char *unit, *other_unit, *no_unit;

/* What the service has answered somebody. */
struct answer {
        char error[128], message[512];
        char name[LAYOUT_NAME_MAX + 1];
        uint8_t secret[LAYOUT_SECRET_BYTES];
};

/* A process in a cgroup, which asks for a layout and stays. */
struct caller {
        pid_t pid;
        struct answer answer;
};

static void ask(sd_bus *bus, const char *group, struct answer *a)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const void *secret;
        const char *name;
        size_t size;

        *a = (struct answer){ 0 };
        if (sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                               "LayoutSecret", &error, &reply, "s", group) < 0) {
                g_strlcpy(a->error, error.name, sizeof(a->error));
                g_strlcpy(a->message, error.message, sizeof(a->message));
                sd_bus_error_free(&error);
                return;
        }
        g_assert_cmpint(sd_bus_message_read(reply, "s", &name), >, 0);
        g_assert_cmpint(sd_bus_message_read_array(reply, 'y', &secret, &size), >, 0);
        g_assert_cmpuint(size, ==, sizeof(a->secret));
        memcpy(a->secret, secret, size);
        g_strlcpy(a->name, name, sizeof(a->name));
        sd_bus_message_unref(reply);
}

static void join_cgroup(const char *cgroup)
{
        char *path = g_build_filename(cgroups, cgroup, "cgroup.procs", NULL);
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, "0", 1) != 1)
                g_error("%s: %m", path);
        safe_close(fd);
        g_free(path);
}

static void become(uid_t uid)
{
        g_assert_cmpint(setgroups(0, NULL), ==, 0);
        g_assert_cmpint(setresgid(uid, uid, uid), ==, 0);
        g_assert_cmpint(setresuid(uid, uid, uid), ==, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void caller_start(struct caller *c, uid_t uid, const char *cgroup, const char *group)
{
        int answer[2];

        g_assert_cmpint(pipe2(answer, O_CLOEXEC), ==, 0);
        c->pid = fork();
        g_assert_cmpint(c->pid, >=, 0);
        if (c->pid == 0) {
                struct answer a;

                join_cgroup(cgroup);
                become(uid);
                ask(harness_connect(&h), group, &a);
                g_assert_cmpint(write(answer[1], &a, sizeof(a)), ==, sizeof(a));
                for (;;)
                        pause();
        }
        safe_close(answer[1]);
        g_assert_cmpint(read(answer[0], &c->answer, sizeof(c->answer)), ==, sizeof(c->answer));
        safe_close(answer[0]);
}

static void caller_end(struct caller *c)
{
        spawn_kill(c->pid);
}

/* What one gets who ends right after. */
static struct answer asked(uid_t uid, const char *cgroup, const char *group)
{
        struct caller c;

        caller_start(&c, uid, cgroup, group);
        caller_end(&c);
        return c.answer;
}

static void expect_secret(const struct answer *a, const char *name)
{
        static const uint8_t none[LAYOUT_SECRET_BYTES];

        g_assert_cmpstr(a->error, ==, "");
        g_assert_cmpstr(a->name, ==, name);
        g_assert_true(memcmp(a->secret, none, sizeof(none)) != 0);
}

static bool same(const struct answer *a, const struct answer *b)
{
        return memcmp(a->secret, b->secret, sizeof(a->secret)) == 0;
}

static void test_unit(void)
{
        struct answer root = asked(0, unit, ""), own = asked(UID_OWN, unit, ""), again, other, named;

        expect_secret(&root, unit);
        expect_secret(&own, unit);
        again = asked(UID_OWN, unit, "");
        expect_secret(&again, unit);
        g_assert_true(same(&own, &again));
        again = asked(0, unit, "");
        g_assert_true(same(&root, &again));

        /* Another user, another unit, and somebody who only calls it so, do not get it. */
        g_assert_false(same(&root, &own));
        other = asked(UID_NO, unit, "");
        expect_secret(&other, unit);
        g_assert_false(same(&own, &other));
        other = asked(UID_OWN, other_unit, "");
        expect_secret(&other, other_unit);
        g_assert_false(same(&own, &other));
        named = asked(UID_OWN, other_unit, unit);
        expect_secret(&named, unit);
        g_assert_false(same(&own, &named));
}

static void test_named(void)
{
        struct answer a = asked(UID_OWN, no_unit, "fleet"), b = asked(UID_OWN, unit, "fleet"),
                      c = asked(UID_NO, no_unit, "fleet"), d = asked(UID_OWN, no_unit, "fleet-2");

        expect_secret(&a, "fleet");
        expect_secret(&c, "fleet");
        expect_secret(&d, "fleet-2");
        g_assert_true(same(&a, &b));
        g_assert_false(same(&a, &c));
        g_assert_false(same(&a, &d));
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
        struct answer a = asked(UID_OWN, no_unit, "");

        expect_error(&a, MERGEMEM_ERROR_NO_SUCH_UNIT, no_unit);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                a = asked(UID_OWN, unit, bad[i]);
                expect_error(&a, MERGEMEM_ERROR_BAD_LAYOUT, "255");
        }
        a = asked(UID_OWN, unit, longer);
        expect_error(&a, MERGEMEM_ERROR_BAD_LAYOUT, "255");
        a = asked(UID_OWN, unit, longest);
        expect_secret(&a, longest);
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

        g_strlcpy(address.sun_path, h.address + strlen("unix:path="), sizeof(address.sun_path));
        join_cgroup(unit);
        become(UID_OWN);
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
        ask(bus, "", &a);
        g_assert_cmpint(write(out, &a, sizeof(a)), ==, sizeof(a));
        _exit(0);
}

/* Who asks in another's place: a connection that outlives its process, and one of a process that is of
 * another user than its connection. */
static void test_not_there(void)
{
        sd_bus *bus = harness_connect_as(&h, UID_OWN);
        int answer[2];
        struct answer a;
        pid_t pid;

        ask(bus, "", &a);
        expect_error(&a, MERGEMEM_ERROR_NO_SUCH_PROCESS, "not there");
        ask(bus, "fleet", &a);
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

struct row {
        bool unit;
        uint64_t drawn_usec, n_given, last_usec;
        uint32_t n_processes;
        int more;
};

/* The group as @bus sees it: false if it does not. @ret_n: how many it sees. */
static bool find(sd_bus *bus, const char *wanted, uid_t of, bool is_unit, struct row *ret, size_t *ret_n)
{
        sd_bus_message *m = NULL;
        bool found = false;
        size_t n = 0;

        g_assert_cmpint(sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                           "Layouts", NULL, &m, NULL),
                        >=, 0);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(subtta{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "subtta{sv}") > 0) {
                const char *name, *key;
                struct row row = { 0 };
                uint32_t uid;
                int unit_flag;

                n++;
                g_assert_cmpint(sd_bus_message_read(m, "subtt", &name, &uid, &unit_flag, &row.drawn_usec,
                                                    &row.n_given),
                                >, 0);
                row.unit = unit_flag;
                g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
                while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                        g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                        if (streq(key, "processes"))
                                g_assert_cmpint(sd_bus_message_read(m, "v", "u", &row.n_processes), >, 0);
                        else if (streq(key, "more"))
                                g_assert_cmpint(sd_bus_message_read(m, "v", "b", &row.more), >, 0);
                        else {
                                g_assert_cmpstr(key, ==, "last_usec");
                                g_assert_cmpint(sd_bus_message_read(m, "v", "t", &row.last_usec), >, 0);
                        }
                        g_assert_cmpint(sd_bus_message_exit_container(m), >=, 0);
                }
                g_assert_cmpint(sd_bus_message_exit_container(m), >=, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >=, 0);
                if (streq(name, wanted) && uid == of && row.unit == is_unit) {
                        found = true;
                        *ret = row;
                }
        }
        sd_bus_message_unref(m);
        if (ret_n)
                *ret_n = n;
        return found;
}

static void test_list(void)
{
        sd_bus *own = harness_connect_as(&h, UID_OWN), *stranger = harness_connect_as(&h, UID_DEFAULT);
        uint64_t before = (uint64_t) g_get_real_time();
        struct caller c[3];
        struct row row;
        size_t n;

        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                caller_start(&c[i], UID_OWN, no_unit, "list");
        g_assert_true(find(own, "list", UID_OWN, false, &row, NULL));
        g_assert_cmpuint(row.n_given, ==, 3);
        g_assert_cmpuint(row.n_processes, ==, 3);
        g_assert_false(row.more);
        g_assert_cmpuint(row.drawn_usec, >=, before);
        g_assert_cmpuint(row.last_usec, >=, row.drawn_usec);
        g_assert_cmpuint(row.last_usec, <=, (uint64_t) g_get_real_time());
        caller_end(&c[0]);
        g_assert_true(find(own, "list", UID_OWN, false, &row, NULL));
        g_assert_cmpuint(row.n_given, ==, 3);
        g_assert_cmpuint(row.n_processes, ==, 2);

        /* root sees all of them, others none but their own. */
        g_assert_true(find(h.bus, "list", UID_OWN, false, &row, NULL));
        g_assert_false(find(h.bus, "list", UID_OWN, true, &row, NULL));
        g_assert_true(find(h.bus, unit, 0, true, &row, NULL));
        g_assert_false(find(own, unit, 0, true, &row, NULL));
        g_assert_true(find(own, unit, UID_OWN, true, &row, NULL));
        g_assert_false(find(stranger, "list", UID_OWN, false, &row, &n));
        g_assert_cmpuint(n, ==, 0);

        /* Who has it is known to the next service too. */
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        caller_end(&c[1]);
        harness_daemon_start(&h, "observe", NULL);
        g_assert_true(find(own, "list", UID_OWN, false, &row, NULL));
        g_assert_cmpuint(row.n_given, ==, 3);
        g_assert_cmpuint(row.n_processes, ==, 1);
        caller_end(&c[2]);
        sd_bus_close_unref(own);
        sd_bus_close_unref(stranger);
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
        char *dir = g_build_filename(h.dir, "run", LAYOUT_DIRECTORY, NULL), *line = NULL, *found = NULL;
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
        struct answer own = asked(UID_OWN, unit, ""), root = asked(0, unit, ""), again;

        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        harness_daemon_start(&h, "observe", NULL);
        again = asked(UID_OWN, unit, "");
        g_assert_true(same(&own, &again));
        again = asked(0, unit, "");
        g_assert_true(same(&root, &again));

        /* As it dies. */
        g_assert_cmpint(kill(h.daemon_pid, SIGKILL), ==, 0);
        spawn_wait(TAKE_GENERIC(h.daemon_pid, 0), 10000);
        harness_daemon_start(&h, "observe", NULL);
        again = asked(UID_OWN, unit, "");
        g_assert_true(same(&own, &again));
}

static void test_damaged(void)
{
        struct answer own = asked(UID_OWN, unit, ""), other = asked(UID_NO, unit, ""), again;
        char *text = NULL, *path = file_of(&own, &text), *aside = g_strconcat(path, ".damaged", NULL), *log;

        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        strstr(text, "\nsecret ")[10] ^= 1;
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
        g_assert_cmpint(chmod(path, 0600), ==, 0);
        harness_daemon_start(&h, "observe", NULL);
        log = harness_log(&h);
        g_assert_nonnull(strstr(log, "is damaged, or not root's alone"));
        g_assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));
        again = asked(UID_OWN, unit, "");
        expect_secret(&again, unit);
        g_assert_false(same(&own, &again));
        again = asked(UID_NO, unit, "");
        g_assert_true(same(&other, &again));
        g_free(log);
        g_free(text);
        g_free(path);
        g_free(aside);
}

static char *rotate(sd_bus *bus, const char *group, uint32_t uid)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *name;

        (void) sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                  "RotateLayout", &error, NULL, "su", group, uid);
        name = g_strdup(error.name);
        sd_bus_error_free(&error);
        return name;
}

static void expect_rotate(sd_bus *bus, const char *group, uint32_t uid, const char *wanted)
{
        char *error = rotate(bus, group, uid);

        g_assert_cmpstr(error, ==, wanted);
        g_free(error);
}

static void test_rotate(void)
{
        sd_bus *own = harness_connect_as(&h, UID_OWN), *no = harness_connect_as(&h, UID_NO),
               *yes = harness_connect_as(&h, UID_YES);
        struct answer before = asked(UID_OWN, unit, ""), others = asked(UID_NO, unit, ""), after, last;
        struct caller c;
        struct row row;

        /* What another has called the same is meant too: one draws both. */
        caller_start(&c, UID_OWN, no_unit, unit);
        expect_rotate(own, unit, UID_OWN, NULL);
        after = asked(UID_OWN, unit, "");
        g_assert_false(same(&before, &after));
        last = asked(UID_OWN, no_unit, unit);
        g_assert_false(same(&c.answer, &last));
        /* Who runs has the layout of before. */
        g_assert_true(find(own, unit, UID_OWN, false, &row, NULL));
        g_assert_cmpuint(row.n_processes, ==, 0);
        g_assert_cmpuint(row.n_given, ==, 1);
        caller_end(&c);
        last = asked(UID_NO, unit, "");
        g_assert_true(same(&others, &last));

        expect_rotate(own, "no-such", UID_OWN, MERGEMEM_ERROR_NO_SUCH_LAYOUT);
        expect_rotate(own, "", UID_OWN, MERGEMEM_ERROR_BAD_LAYOUT);
        expect_rotate(own, "a b", UID_OWN, MERGEMEM_ERROR_BAD_LAYOUT);
        /* Others': who may configure may do so. */
        expect_rotate(own, unit, UID_NO, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        expect_rotate(no, unit, UID_OWN, SD_BUS_ERROR_ACCESS_DENIED);
        last = asked(UID_OWN, unit, "");
        g_assert_true(same(&after, &last));
        expect_rotate(yes, unit, UID_OWN, NULL);
        last = asked(UID_OWN, unit, "");
        g_assert_false(same(&after, &last));
        expect_rotate(h.bus, unit, UID_OWN, NULL);
        expect_rotate(h.bus, "no-such", UID_OWN, MERGEMEM_ERROR_NO_SUCH_LAYOUT);
        after = asked(UID_OWN, unit, "");
        g_assert_false(same(&after, &last));

        /* And that lasts. */
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        harness_daemon_start(&h, "observe", NULL);
        last = asked(UID_OWN, unit, "");
        g_assert_true(same(&after, &last));
        sd_bus_close_unref(own);
        sd_bus_close_unref(no);
        sd_bus_close_unref(yes);
}

/* Calls in a row, which the service works on faster than a user's quota grows, whatever else the machine
 * does. */
#define BURST 100U

struct burst {
        unsigned n, n_refused;
        char *error; /* of the last */
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        struct burst *b = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        b->n++;
        b->n_refused += e && streq(e->name, MERGEMEM_ERROR_LIMITS);
        g_free(b->error);
        b->error = g_strdup(e ? e->name : NULL);
        return 0;
}

static void send_call(sd_bus *bus, struct burst *b, const char *method, const char *group)
{
        sd_bus_message *m = NULL;

        g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, method),
                        >=, 0);
        if (group)
                g_assert_cmpint(sd_bus_message_append(m, "s", group), >=, 0);
        g_assert_cmpint(sd_bus_call_async(bus, NULL, m, on_answer, b, 0), >=, 0);
        sd_bus_message_unref(m);
}

/* "Layouts" many times, and then one for a secret. */
static void burst(sd_bus *bus, struct burst *b)
{
        *b = (struct burst){ 0 };
        for (unsigned i = 0; i < BURST; i++)
                send_call(bus, b, "Layouts", NULL);
        send_call(bus, b, "LayoutSecret", "fleet");
        while (b->n < BURST + 1)
                if (sd_bus_process(bus, NULL) == 0)
                        sd_bus_wait(bus, 1000000);
}

/* Who asks all the time is told to wait, and nobody else is; nor does that cost him his estimates. */
static void test_quota(void)
{
        sd_bus *no = harness_connect_as(&h, UID_NO);
        struct burst b = { 0 };
        struct answer a;
        unsigned n = 0;

        /* Of who is not known yet only so many calls wait. */
        g_free(manager_string(no, "Version"));
        for (; b.n_refused == 0 && n < 10000; n++) {
                g_free(b.error);
                burst(no, &b);
        }
        g_test_message("%u times %u calls", n, BURST + 1);
        g_assert_cmpuint(n, >, 8192 / (BURST + 1));
        g_assert_cmpuint(b.n_refused, >, 0);
        g_free(b.error);
        burst(no, &b);
        g_assert_cmpuint(b.n_refused, >, BURST / 2);
        g_assert_cmpstr(b.error, ==, MERGEMEM_ERROR_LIMITS);
        g_free(b.error);
        a = asked(UID_OWN, unit, "");
        expect_secret(&a, unit);
        a = asked(0, unit, "");
        expect_secret(&a, unit);
        g_assert_cmpuint(count_processes(no, &(struct what){ 0 }), ==, 0);
        sd_bus_close_unref(no);
}

static char *ctl(uid_t uid, int status, const char *args)
{
        char *bus = g_strconcat("--bus=", h.address, NULL), **words = g_strsplit(args, " ", 12), *text;
        const char *argv[16] = { h.ctl, bus };

        for (size_t i = 0; words[i]; i++)
                argv[i + 2] = words[i];
        g_assert_cmpint(WEXITSTATUS(spawn_run(&(struct spawn){ .argv = argv, .uid = uid }, 60000, &text)),
                        ==, status);
        g_test_message("%s: %s", args, text);
        g_strfreev(words);
        g_free(bus);
        return text;
}

static void test_ctl(void)
{
        struct answer a = asked(UID_OWN, no_unit, "ctl"), b = asked(UID_YES, no_unit, "ctl"), again;
        char *text = ctl(0, 0, "layouts"), *secret;

        g_assert_nonnull(strstr(text, "ctl "));
        g_assert_nonnull(strstr(text, unit));
        secret = g_strdup_printf("%02x%02x%02x", a.secret[0], a.secret[1], a.secret[2]);
        g_assert_null(strstr(text, secret));
        g_free(secret);
        g_free(text);
        text = ctl(UID_OWN, 0, "layouts --json=short");
        g_assert_true(json_valid(text));
        g_assert_nonnull(strstr(text, "\"name\":\"ctl\",\"uid\":65534,\"unit\":false,\"drawn_usec\":"));
        g_assert_null(strstr(text, "\"uid\":3,"));
        g_free(text);

        g_free(ctl(UID_OWN, MERGEMEM_EXIT_DONE, "layouts rotate ctl"));
        again = asked(UID_OWN, no_unit, "ctl");
        g_assert_false(same(&a, &again));
        a = again;
        again = asked(UID_YES, no_unit, "ctl");
        g_assert_true(same(&b, &again));
        /* root means all of that name, unless he says whose. */
        g_free(ctl(0, MERGEMEM_EXIT_DONE, "layouts rotate ctl --user=3"));
        again = asked(UID_YES, no_unit, "ctl");
        g_assert_false(same(&b, &again));
        b = again;
        again = asked(UID_OWN, no_unit, "ctl");
        g_assert_true(same(&a, &again));
        g_free(ctl(0, MERGEMEM_EXIT_DONE, "layouts rotate ctl"));
        again = asked(UID_OWN, no_unit, "ctl");
        g_assert_false(same(&a, &again));
        again = asked(UID_YES, no_unit, "ctl");
        g_assert_false(same(&b, &again));

        g_free(ctl(UID_OWN, MERGEMEM_EXIT_NOT_PERMITTED, "layouts rotate ctl --user=sys"));
        g_free(ctl(0, MERGEMEM_EXIT_NOTHING_MATCHED, "layouts rotate no-such"));
        g_free(ctl(0, MERGEMEM_EXIT_NOTHING_MATCHED, "layouts rotate ctl --user=no-such-user"));
        g_free(ctl(0, MERGEMEM_EXIT_USAGE, "layouts rotate"));
        g_free(ctl(0, MERGEMEM_EXIT_USAGE, "layouts spin ctl"));
        g_free(ctl(0, MERGEMEM_EXIT_USAGE, "layouts rotate ctl --user=sys --user=bin"));
}

static char *turns(void)
{
        char *log = harness_log(&h), *at = g_strrstr(log, "Rule \"fleet\": a turn is over"), *text;

        text = g_strndup(at ? at : "", at ? strcspn(at, "\n") : 0);
        g_free(log);
        return text;
}

/* A rule whose turn is far looks at the processes of a group together, as soon as the last is old enough. */
static void test_early(void)
{
        struct caller c[3];
        char *text = NULL;

        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        harness_rules_write(&h, "[Daemon]\nIntervalSec=1d\nLogLevel=debug\nCpuQuota=400%\n"
                                "[Rule default]\nMinAgeSec=1w\n"
                                "[Rule fleet]\nUser=nobody\nIntervalSec=1d\nMinAgeSec=4\n");
        g_assert_true(g_file_set_contents(h.log, "", 0, NULL));
        harness_daemon_start(&h, "observe", NULL);
        for (size_t i = 0; i < ELEMENTSOF(c); i++) {
                caller_start(&c[i], UID_OWN, no_unit, "early");
                sleep_msec(500);
        }
        for (uint64_t end = now_usec() + 60000000;; sleep_msec(100)) {
                text = turns();
                if (*text)
                        break;
                g_assert_cmpuint(now_usec(), <, end);
                g_free(text);
        }
        g_test_message("%s", text);
        g_assert_nonnull(strstr(text, "; 3 processes were looked at"));
        g_free(text);
        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                caller_end(&c[i]);
}

/* What a test before this one has left that did not come to its end. */
static void remove_stale_cgroups(void)
{
        GDir *d = g_dir_open(cgroups, 0, NULL);
        const char *name;

        while ((name = g_dir_read_name(d)))
                if (g_str_has_prefix(name, "mergemem-test-")) {
                        char *path = g_build_filename(cgroups, name, NULL);

                        g_rmdir(path);
                        g_free(path);
                }
        g_dir_close(d);
}

static void make_cgroups(void)
{
        const char *id = strrchr(h.dir, '-') + 1;

        cgroups = g_build_filename(h.dir, "cgroup", NULL);
        g_assert_cmpint(g_mkdir(cgroups, 0755), ==, 0);
        if (mount("cgroup2", cgroups, "cgroup2", 0, NULL) < 0)
                g_error("cgroup2: %m");
        remove_stale_cgroups();
        unit = g_strdup_printf("mergemem-test-%s.service", id);
        other_unit = g_strdup_printf("mergemem-test-%s@other.service", id);
        no_unit = g_strdup_printf("mergemem-test-%s", id);
        for (size_t i = 0; i < 3; i++) {
                const char *name = (const char *[]){ unit, other_unit, no_unit }[i];
                char *path = g_build_filename(cgroups, name, NULL);

                if (mkdir(path, 0755) < 0)
                        g_error("%s: %m", path);
                g_free(path);
        }
}

static void remove_cgroups(void)
{
        for (size_t i = 0; i < 3; i++) {
                char *name = ((char *[]){ unit, other_unit, no_unit })[i];
                char *path = g_build_filename(cgroups, name, NULL);

                /* Whoever was in it may still be on his way out. */
                for (uint64_t end = now_usec() + 10000000; rmdir(path) < 0; sleep_msec(10))
                        if (errno != EBUSY || now_usec() > end)
                                g_error("%s: %m", path);
                g_free(path);
                g_free(name);
        }
        g_assert_cmpint(umount(cgroups), ==, 0);
        g_free(cgroups);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        make_cgroups();
        polkit_start(&polkit, &h);
        harness_daemon_start(&h, "observe", NULL);
        g_test_add_func("/layouts/unit", test_unit);
        g_test_add_func("/layouts/named", test_named);
        g_test_add_func("/layouts/refused", test_refused);
        g_test_add_func("/layouts/not-there", test_not_there);
        g_test_add_func("/layouts/list", test_list);
        g_test_add_func("/layouts/restart", test_restart);
        g_test_add_func("/layouts/damaged", test_damaged);
        g_test_add_func("/layouts/rotate", test_rotate);
        g_test_add_func("/layouts/quota", test_quota);
        g_test_add_func("/layouts/ctl", test_ctl);
        g_test_add_func("/layouts/early", test_early);
        status = g_test_run();
        polkit_stop(&polkit);
        remove_cgroups();
        return harness_end(&h, status);
}
