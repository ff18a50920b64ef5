/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/selector.h"

/* Which processes a selector means. */

static const struct mm_file_id some_file = { .dev = 8, .ino = 4711 }, other_file = { .dev = 8, .ino = 4712 };

static struct mm_process a_process(void)
{
        struct mm_process p = MM_PROCESS_NULL;

        p.pid = 100;
        p.ruid = p.euid = p.suid = p.fsuid = 1000;
        strcpy(p.comm, "worker");
        p.exe = (char *) "/usr/bin/worker";
        p.exe_id = some_file;
        p.cgroup = (char *) "/a/b";
        return p;
}

static void add(struct selector *s, enum selector_kind kind, const char *text)
{
        g_assert_cmpint(selector_add(s, kind, text, 0), ==, 0);
}

static void add_pid(struct selector *s, pid_t pid)
{
        g_assert_cmpint(selector_add(s, SELECTOR_PID, NULL, pid), ==, 0);
}

/* Whether a selector of one value means the process. */
static bool matches(enum selector_kind kind, const char *text, const struct mm_process *p, const char *unit)
{
        _cleanup_(selector_done) struct selector s = {};
        bool match;

        add(&s, kind, text);
        match = selector_match(&s, p, unit);
        g_assert_cmpint(s.values[0].seen, ==, match);
        return match;
}

static void test_match_cgroup(void)
{
        struct mm_process p = a_process();

        g_assert_true(matches(SELECTOR_CGROUP, "/", &p, NULL));
        g_assert_true(matches(SELECTOR_CGROUP, "/a", &p, NULL));
        g_assert_true(matches(SELECTOR_CGROUP, "/a/b", &p, NULL));
        g_assert_true(matches(SELECTOR_CGROUP, "/sys/fs/cgroup/a/b/", &p, NULL));
        g_assert_false(matches(SELECTOR_CGROUP, "/a/b/c", &p, NULL));
        g_assert_false(matches(SELECTOR_CGROUP, "/b", &p, NULL));

        p.cgroup = (char *) "/ab";
        g_assert_false(matches(SELECTOR_CGROUP, "/a", &p, NULL));
        g_assert_true(matches(SELECTOR_CGROUP, "/", &p, NULL));

        p.cgroup = (char *) "/";
        g_assert_true(matches(SELECTOR_CGROUP, "/", &p, NULL));
        g_assert_false(matches(SELECTOR_CGROUP, "/a", &p, NULL));

        p.cgroup = NULL;
        g_assert_false(matches(SELECTOR_CGROUP, "/", &p, NULL));
}

static void test_match_names(void)
{
        struct mm_process p = a_process();

        g_assert_true(matches(SELECTOR_COMM, "worker", &p, NULL));
        g_assert_false(matches(SELECTOR_COMM, "work", &p, NULL));
        g_assert_false(matches(SELECTOR_COMM, "worker2", &p, NULL));

        g_assert_true(matches(SELECTOR_UNIT, "web", &p, "web.service"));
        g_assert_false(matches(SELECTOR_UNIT, "web", &p, "web.socket"));
        g_assert_false(matches(SELECTOR_UNIT, "web", &p, NULL));
}

static void test_match_exe(void)
{
        _cleanup_(selector_done) struct selector s = {};
        struct mm_process p = a_process();

        /* Through a symlink: another name, the same file. */
        add(&s, SELECTOR_EXE, "/opt/worker");
        g_assert_false(selector_match(&s, &p, NULL));
        s.values[0].file = some_file;
        g_assert_true(selector_match(&s, &p, NULL));
        s.values[0].file = other_file;
        g_assert_false(selector_match(&s, &p, NULL));

        /* A file of its own that cannot be looked at is not every file that is not known. */
        s.values[0].file = (struct mm_file_id) {};
        p.exe_id = (struct mm_file_id) {};
        g_assert_false(selector_match(&s, &p, NULL));
        p.exe = NULL;
        g_assert_false(selector_match(&s, &p, NULL));
}

/* A program that was replaced while it runs is known by its name. */
static void test_match_exe_deleted(void)
{
        _cleanup_(selector_done) struct selector s = { .user_ns = { .dev = 4, .ino = 1 } };
        struct mm_process p = a_process();

        add(&s, SELECTOR_EXE, "/usr/bin/worker");
        s.values[0].file = other_file;
        p.user_ns = s.user_ns;
        p.exe_deleted = true;
        g_assert_true(selector_match(&s, &p, NULL));
        s.values[0].file = (struct mm_file_id) {};
        g_assert_true(selector_match(&s, &p, NULL));

        /* The same name in another mount namespace, where it is another file. */
        p.exe_deleted = false;
        g_assert_false(selector_match(&s, &p, NULL));

        /* There anybody can have a file of that name and delete it. */
        p.exe_deleted = true;
        p.user_ns.ino = 2;
        g_assert_false(selector_match(&s, &p, NULL));
        p.user_ns = s.user_ns = (struct mm_file_id) {};
        g_assert_false(selector_match(&s, &p, NULL));

        p.user_ns = s.user_ns = (struct mm_file_id) { .dev = 4, .ino = 1 };
        p.exe = (char *) "/usr/bin/worker2";
        g_assert_false(selector_match(&s, &p, NULL));
        p.exe = NULL;
        g_assert_false(selector_match(&s, &p, NULL));
}

static void test_match_user(void)
{
        _cleanup_(selector_done) struct selector s = {};
        struct mm_process p = a_process();

        add(&s, SELECTOR_USER, "joe");
        g_assert_false(selector_match(&s, &p, NULL));
        s.values[0].uid = 1000;
        g_assert_true(selector_match(&s, &p, NULL));
        /* Who started it. */
        p.euid = p.suid = p.fsuid = 0;
        g_assert_true(selector_match(&s, &p, NULL));
        p.ruid = 1001;
        g_assert_false(selector_match(&s, &p, NULL));
}

/* Values of one kind are alternatives, kinds narrow each other. */
static void test_match_kinds(void)
{
        _cleanup_(selector_done) struct selector s = {};
        struct mm_process p = a_process();

        g_assert_true(selector_match(&s, &p, NULL));

        add_pid(&s, 99);
        g_assert_false(selector_match(&s, &p, NULL));
        add_pid(&s, 100);
        g_assert_true(selector_match(&s, &p, NULL));

        add(&s, SELECTOR_COMM, "other");
        g_assert_false(selector_match(&s, &p, NULL));
        add(&s, SELECTOR_COMM, "worker");
        g_assert_true(selector_match(&s, &p, NULL));

        add(&s, SELECTOR_UNIT, "web");
        g_assert_false(selector_match(&s, &p, NULL));
        g_assert_true(selector_match(&s, &p, "web.service"));

        /* Libraries are looked for in memory, later. */
        add(&s, SELECTOR_SHLIB, "libm");
        g_assert_true(selector_match(&s, &p, "web.service"));

        p.pid = 99;
        g_assert_true(selector_match(&s, &p, "web.service"));
        p.pid = 98;
        g_assert_false(selector_match(&s, &p, "web.service"));
}

/* A program goes by the name of its processes and by that of its file. */
static void test_match_program(void)
{
        struct mm_process p = a_process();

        g_assert_true(matches(SELECTOR_PROGRAM, "worker", &p, NULL));
        g_assert_false(matches(SELECTOR_PROGRAM, "work", &p, NULL));
        p.exe = (char *) "/usr/libexec/a-worker-of-a-long-name";
        g_assert_true(matches(SELECTOR_PROGRAM, "worker", &p, NULL));
        g_assert_true(matches(SELECTOR_PROGRAM, "a-worker-of-a-long-name", &p, NULL));
        g_assert_false(matches(SELECTOR_PROGRAM, "a-worker-of-a-l", &p, NULL));
        strcpy(p.comm, "a-worker-of-a-l");
        g_assert_true(matches(SELECTOR_PROGRAM, "a-worker-of-a-l", &p, NULL));
        g_assert_false(matches(SELECTOR_PROGRAM, "worker", &p, NULL));
        p.exe = NULL;
        g_assert_false(matches(SELECTOR_PROGRAM, "a-worker-of-a-long-name", &p, NULL));
}

static void test_match_any(void)
{
        _cleanup_(selector_done) struct selector s = { .any = true };
        struct mm_process p = a_process();

        g_assert_true(selector_match(&s, &p, NULL));
        add(&s, SELECTOR_SHLIB, "libm");
        g_assert_true(selector_match(&s, &p, NULL));
        add_pid(&s, 99);
        g_assert_false(selector_match(&s, &p, NULL));
        add(&s, SELECTOR_PROGRAM, "worker");
        g_assert_true(selector_match(&s, &p, NULL));
        g_assert_true(selector_unseen(&s, false) == &s.values[1]);
        p.pid = 99;
        strcpy(p.comm, "other");
        p.exe = (char *) "/usr/bin/other";
        g_assert_true(selector_match(&s, &p, NULL));
        g_assert_null(selector_unseen(&s, false));
        p.pid = 98;
        g_assert_false(selector_match(&s, &p, NULL));
}

/* To a user the processes of others are not there, whatever he says. */
static void test_match_own(void)
{
        uid_t *ids[4];
        struct selector s = { .all = true, .only_own = true, .owner = 1000 };
        struct mm_process p = a_process();

        g_assert_true(selector_match(&s, &p, NULL));
        /* One id of somebody else is enough. */
        ids[0] = &p.ruid;
        ids[1] = &p.euid;
        ids[2] = &p.suid;
        ids[3] = &p.fsuid;
        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                *ids[i] = 0;
                g_assert_false(selector_match(&s, &p, NULL));
                *ids[i] = 1000;
        }
        p.ruid = p.euid = p.suid = p.fsuid = 1001;
        add_pid(&s, p.pid);
        add(&s, SELECTOR_COMM, p.comm);
        g_assert_false(selector_match(&s, &p, NULL));
        g_assert_true(selector_unseen(&s, false) == &s.values[0]);
        s.only_own = false;
        g_assert_true(selector_match(&s, &p, NULL));
        selector_done(&s);
}

static void test_unseen(void)
{
        _cleanup_(selector_done) struct selector s = {};
        struct mm_process p = a_process();

        g_assert_null(selector_unseen(&s, false));
        add(&s, SELECTOR_SHLIB, "libm");
        g_assert_null(selector_unseen(&s, false));
        g_assert_true(selector_unseen(&s, true) == &s.values[0]);
        s.values[0].seen = true;
        g_assert_null(selector_unseen(&s, true));

        add(&s, SELECTOR_COMM, "worker");
        add(&s, SELECTOR_COMM, "other");
        add_pid(&s, 7);
        g_assert_true(selector_unseen(&s, false) == &s.values[1]);
        /* It is not meant, since its pid is another; but there is a process of that name. */
        g_assert_false(selector_match(&s, &p, NULL));
        g_assert_true(selector_unseen(&s, false) == &s.values[2]);
        strcpy(p.comm, "other");
        g_assert_false(selector_match(&s, &p, NULL));
        g_assert_true(selector_unseen(&s, false) == &s.values[3]);
        p.pid = 7;
        g_assert_true(selector_match(&s, &p, NULL));
        g_assert_null(selector_unseen(&s, false));
        /* A mark stays. */
        p.pid = 8;
        g_assert_false(selector_match(&s, &p, NULL));
        g_assert_null(selector_unseen(&s, false));
}

static void test_cgroup_of(void)
{
        _cleanup_(selector_done) struct selector s = {};
        struct mm_process p = a_process();

        add(&s, SELECTOR_COMM, "worker");
        g_assert_null(selector_cgroup_of(&s, &p, "web.service"));
        add(&s, SELECTOR_CGROUP, "/ab");
        g_assert_null(selector_cgroup_of(&s, &p, "web.service"));
        add(&s, SELECTOR_CGROUP, "/a");
        g_assert_cmpstr(selector_cgroup_of(&s, &p, "web.service"), ==, "/a");
        p.cgroup = (char *) "/ab/c";
        g_assert_cmpstr(selector_cgroup_of(&s, &p, NULL), ==, "/ab");
        p.cgroup = (char *) "/c";
        g_assert_null(selector_cgroup_of(&s, &p, NULL));
        add(&s, SELECTOR_UNIT, "web");
        g_assert_cmpstr(selector_cgroup_of(&s, &p, "web.service"), ==, "web.service");
}

static void check_cgroup_path(const struct selector *s, const char *cgroup, const char *expected)
{
        _cleanup_(freep) char *path = selector_cgroup_path(s, cgroup);

        g_assert_cmpstr(path, ==, expected);
}

static void test_cgroup_path(void)
{
        _cleanup_(selector_done) struct selector s = {};

        add(&s, SELECTOR_COMM, "worker");
        check_cgroup_path(&s, "/a/b", NULL);
        add(&s, SELECTOR_CGROUP, "/a");
        check_cgroup_path(&s, "/a/b", "/a");
        check_cgroup_path(&s, "/ab", NULL);
        add(&s, SELECTOR_UNIT, "web");
        check_cgroup_path(&s, "/system.slice/web.service", "/system.slice/web.service");
        check_cgroup_path(&s, "/user.slice/web.service/inner/most", "/user.slice/web.service");
        check_cgroup_path(&s, "/system.slice/_web.service/inner", "/system.slice/_web.service");
        check_cgroup_path(&s, "/system.slice/web.service.d", NULL);
        check_cgroup_path(&s, "/system.slice/myweb.service", NULL);
        check_cgroup_path(&s, "/", NULL);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/selector-match/cgroup", test_match_cgroup);
        g_test_add_func("/selector-match/names", test_match_names);
        g_test_add_func("/selector-match/exe", test_match_exe);
        g_test_add_func("/selector-match/exe-deleted", test_match_exe_deleted);
        g_test_add_func("/selector-match/user", test_match_user);
        g_test_add_func("/selector-match/kinds", test_match_kinds);
        g_test_add_func("/selector-match/program", test_match_program);
        g_test_add_func("/selector-match/any", test_match_any);
        g_test_add_func("/selector-match/own", test_match_own);
        g_test_add_func("/selector-match/unseen", test_unseen);
        g_test_add_func("/selector-match/cgroup-of", test_cgroup_of);
        g_test_add_func("/selector-match/cgroup-path", test_cgroup_path);
        return g_test_run();
}
