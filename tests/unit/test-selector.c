/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/selector.h"
#include "shared/names.h"

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

static void test_names(void)
{
        static const char *const kinds[] = { "pid", "comm", "exe", "cgroup", "unit", "user", "shlib" };

        /* All but one are keys on the bus. */
        G_STATIC_ASSERT(ELEMENTSOF(kinds) == SELECTOR_PROGRAM);
        G_STATIC_ASSERT(SELECTOR_PROGRAM + 1 == SELECTOR_KIND_MAX_);
        g_assert_cmpint(selector_kind_from_string("program"), ==, SELECTOR_KIND_INVALID_);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                enum selector_kind kind = selector_kind_from_string(kinds[i]);

                g_assert_cmpint(kind, !=, SELECTOR_KIND_INVALID_);
                g_assert_cmpstr(selector_kind_to_string(kind), ==, kinds[i]);
        }
        g_assert_cmpint(selector_kind_from_string("PID"), ==, SELECTOR_KIND_INVALID_);
        g_assert_cmpint(selector_kind_from_string("pids"), ==, SELECTOR_KIND_INVALID_);
        g_assert_cmpint(selector_kind_from_string(""), ==, SELECTOR_KIND_INVALID_);

        g_assert_cmpint(trust_from_string("user"), ==, TRUST_USER);
        g_assert_cmpint(trust_from_string("cgroup"), ==, TRUST_CGROUP);
        g_assert_cmpint(trust_from_string("system"), ==, TRUST_SYSTEM);
        g_assert_cmpint(trust_from_string("everybody"), ==, TRUST_INVALID_);
        g_assert_cmpint(trust_from_string(""), ==, TRUST_INVALID_);
        /* What is not said is the narrowest. */
        g_assert_cmpint(TRUST_USER, ==, 0);
}

static void test_validity(void)
{
        static const struct {
                enum selector_kind kind;
                const char *text;
                bool valid;
        } cases[] = {
                { SELECTOR_COMM, "python3", true },
                { SELECTOR_COMM, "(sd-pam)", true },
                { SELECTOR_COMM, "a/b", true }, /* comm can be anything */
                { SELECTOR_COMM, "", false },
                { SELECTOR_EXE, "/usr/bin/python3", true },
                { SELECTOR_EXE, "python3", false },
                { SELECTOR_EXE, "./python3", false },
                { SELECTOR_EXE, "", false },
                { SELECTOR_CGROUP, "/", true },
                { SELECTOR_CGROUP, "/a", true },
                { SELECTOR_CGROUP, "a", false },
                { SELECTOR_CGROUP, "", false },
                { SELECTOR_UNIT, "cron", true },
                { SELECTOR_UNIT, "cron.service", true },
                { SELECTOR_UNIT, "/system.slice/cron.service", false },
                { SELECTOR_UNIT, "", false },
                { SELECTOR_USER, "root", true },
                { SELECTOR_USER, "1000", true },
                { SELECTOR_USER, "", false },
                { SELECTOR_SHLIB, "libc.so.6", true },
                { SELECTOR_SHLIB, "/lib/libc.so.6", true },
                { SELECTOR_SHLIB, "lib/libc.so.6", false },
                { SELECTOR_SHLIB, "", false },
                { SELECTOR_PROGRAM, "python3.11", true },
                { SELECTOR_PROGRAM, "bin/python3", false },
                { SELECTOR_PROGRAM, "", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(selector_done) struct selector s = {};

                g_test_message("%s \"%s\"", selector_kind_to_string(cases[i].kind), cases[i].text);
                g_assert_cmpint(selector_add(&s, cases[i].kind, cases[i].text, 0), ==,
                                cases[i].valid ? 0 : -EINVAL);
                g_assert_cmpuint(s.n_values, ==, cases[i].valid);
                if (cases[i].valid)
                        g_assert_cmpint(s.values[0].kind, ==, cases[i].kind);
        }
}

static void test_pids(void)
{
        _cleanup_(selector_done) struct selector s = {};

        g_assert_cmpint(selector_add(&s, SELECTOR_PID, NULL, 0), ==, -EINVAL);
        g_assert_cmpint(selector_add(&s, SELECTOR_PID, NULL, -1), ==, -EINVAL);
        g_assert_cmpuint(s.n_values, ==, 0);
        add_pid(&s, 1);
        add_pid(&s, INT32_MAX);
        g_assert_cmpuint(s.n_values, ==, 2);
        g_assert_cmpint(s.values[0].pid, ==, 1);
        g_assert_null(s.values[0].text);
        g_assert_cmpint(s.values[1].pid, ==, INT32_MAX);
}

static void test_limits(void)
{
        _cleanup_(selector_done) struct selector s = {};
        g_autofree char *text = g_strnfill(SELECTOR_TEXT_MAX, 'x');

        text[0] = '/';
        g_assert_cmpint(selector_add(&s, SELECTOR_EXE, text, 0), ==, -EINVAL);
        text[SELECTOR_TEXT_MAX - 1] = 0;
        add(&s, SELECTOR_EXE, text);
        g_assert_cmpstr(s.values[0].text, ==, text);

        while (s.n_values < SELECTOR_VALUES_MAX)
                if (s.n_values % 2)
                        add_pid(&s, (pid_t) s.n_values);
                else
                        add(&s, SELECTOR_COMM, "x");
        /* Over all kinds. */
        g_assert_cmpint(selector_add(&s, SELECTOR_PID, NULL, 1), ==, -E2BIG);
        g_assert_cmpint(selector_add(&s, SELECTOR_USER, "root", 0), ==, -E2BIG);
        g_assert_cmpint(selector_add(&s, SELECTOR_USER, "", 0), ==, -EINVAL);
        g_assert_cmpuint(s.n_values, ==, SELECTOR_VALUES_MAX);
        g_assert_cmpint(s.values[SELECTOR_VALUES_MAX - 1].pid, ==, SELECTOR_VALUES_MAX - 1);

        /* And all texts together. */
        selector_done(&s);
        while (s.n_bytes + SELECTOR_TEXT_MAX <= SELECTOR_BYTES_MAX)
                add(&s, SELECTOR_EXE, text);
        g_assert_cmpuint(s.n_values, ==, SELECTOR_BYTES_MAX / SELECTOR_TEXT_MAX);
        g_assert_cmpint(selector_add(&s, SELECTOR_EXE, text, 0), ==, -E2BIG);
        add_pid(&s, 1);
}

static void test_canonical(void)
{
        static const struct {
                enum selector_kind kind;
                const char *text, *canonical;
        } cases[] = {
                { SELECTOR_CGROUP, "/", "/" },
                { SELECTOR_CGROUP, "//", "/" },
                { SELECTOR_CGROUP, "/a", "/a" },
                { SELECTOR_CGROUP, "/a/b/", "/a/b" },
                { SELECTOR_CGROUP, "/a/b//", "/a/b" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup", "/" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup/", "/" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup/a/b/", "/a/b" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup//a", "/a" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup/unified", "/" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup/unified/a", "/a" },
                { SELECTOR_CGROUP, "/sys/fs/cgroups/a", "/sys/fs/cgroups/a" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup/unifiedly", "/unifiedly" },
                { SELECTOR_UNIT, "cron", "cron.service" },
                { SELECTOR_UNIT, "cron.service", "cron.service" },
                { SELECTOR_UNIT, "session-1.scope", "session-1.scope" },
                { SELECTOR_UNIT, "worker@1", "worker@1.service" },
                /* A dot does not make a suffix, systemctl(1). */
                { SELECTOR_UNIT, "python3.11", "python3.11.service" },
                { SELECTOR_UNIT, "org.example.App", "org.example.App.service" },
                { SELECTOR_UNIT, ".service", ".service.service" },
                { SELECTOR_COMM, "cron", "cron" },
                { SELECTOR_EXE, "/usr/bin/../bin/cron/", "/usr/bin/../bin/cron/" }, /* resolved later */
                { SELECTOR_SHLIB, "libm", "libm" },
                { SELECTOR_USER, "007", "007" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(selector_done) struct selector s = {};

                add(&s, cases[i].kind, cases[i].text);
                g_assert_cmpstr(s.values[0].text, ==, cases[i].canonical);
        }
}

static void test_contents(void)
{
        static const struct {
                enum selector_kind kind;
                const char *text;
                bool names_processes, needs_resolving;
        } cases[] = {
                { SELECTOR_COMM, "x", false, false },
                { SELECTOR_EXE, "/x", true, true },
                { SELECTOR_CGROUP, "/x", true, false },
                { SELECTOR_CGROUP, "/", false, false },
                { SELECTOR_UNIT, "x", true, false },
                { SELECTOR_USER, "x", true, true },
                { SELECTOR_SHLIB, "x", false, false },
                { SELECTOR_SHLIB, "/x", false, true },
                { SELECTOR_PROGRAM, "x", false, false },
                { SELECTOR_PID, NULL, false, false },
        };
        struct selector everything = { .all = true }, nothing = { .force = true, .trust = TRUST_SYSTEM };

        g_assert_true(selector_is_empty(&nothing));
        g_assert_false(selector_is_empty(&everything));
        g_assert_false(selector_names_processes(&everything));

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(selector_done) struct selector s = {};

                g_assert_cmpint(selector_add(&s, cases[i].kind, cases[i].text, 1), ==, 0);
                g_assert_false(selector_is_empty(&s));
                for (int kind = 0; kind < SELECTOR_KIND_MAX_; kind++)
                        g_assert_cmpint(selector_has(&s, (enum selector_kind) kind), ==,
                                        kind == (int) cases[i].kind);
                g_assert_cmpint(selector_names_processes(&s), ==, cases[i].names_processes);
                g_assert_cmpint(selector_value_needs_resolving(&s.values[0]), ==, cases[i].needs_resolving);
        }
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

/* Of alternatives none may be a name that others can take. */
static void test_names_any(void)
{
        _cleanup_(selector_done) struct selector s = { .any = true };

        add(&s, SELECTOR_SHLIB, "libm");
        g_assert_false(selector_names_processes(&s));
        add(&s, SELECTOR_EXE, "/usr/bin/worker");
        g_assert_true(selector_names_processes(&s));
        add_pid(&s, 100);
        g_assert_false(selector_names_processes(&s));
        s.any = false;
        g_assert_true(selector_names_processes(&s));
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

static void test_names_nobody(void)
{
        struct selector s = {};

        add(&s, SELECTOR_UNIT, "a.service");
        add(&s, SELECTOR_USER, "1000");
        g_assert_true(selector_names_processes(&s));
        s.only_own = true;
        g_assert_false(selector_names_processes(&s));
        selector_done(&s);
}

/* Values of one kind are alternatives: one that names nobody lets everybody in. */
static void test_names_alternatives(void)
{
        _cleanup_(selector_done) struct selector s = {}, other = {};

        add(&s, SELECTOR_CGROUP, "/a");
        g_assert_true(selector_names_processes(&s));
        add(&s, SELECTOR_CGROUP, "/");
        g_assert_false(selector_names_processes(&s));
        add(&s, SELECTOR_CGROUP, "/b");
        g_assert_false(selector_names_processes(&s));
        /* Narrowed down by another kind. */
        add(&s, SELECTOR_UNIT, "a.service");
        g_assert_true(selector_names_processes(&s));

        add(&other, SELECTOR_CGROUP, "/sys/fs/cgroup");
        add(&other, SELECTOR_CGROUP, "/a");
        g_assert_false(selector_names_processes(&other));
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

static void check_missing(const struct selector *s, size_t i, const char *error, const char *text)
{
        _cleanup_(freep) char *got = NULL;

        g_assert_cmpstr(selector_missing_error(s, &s->values[i], &got), ==, error);
        g_assert_cmpstr(got, ==, text);
}

static void test_missing(void)
{
        _cleanup_(selector_done) struct selector s = {};

        add_pid(&s, 7);
        add(&s, SELECTOR_COMM, "worker");
        add(&s, SELECTOR_EXE, "/no/such");
        add(&s, SELECTOR_CGROUP, "/a");
        add(&s, SELECTOR_UNIT, "web");
        add(&s, SELECTOR_USER, "somebody");
        add(&s, SELECTOR_SHLIB, "libm");
        s.values[5].uid = (uid_t) -1;
        check_missing(&s, 0, MERGEMEM_ERROR_NO_SUCH_PROCESS, "There is no process 7.");
        check_missing(&s, 1, MERGEMEM_ERROR_NO_SUCH_PROGRAM, "No process is named \"worker\".");
        check_missing(&s, 2, MERGEMEM_ERROR_NO_SUCH_PROGRAM, "No process runs the program /no/such.");
        check_missing(&s, 3, MERGEMEM_ERROR_NO_SUCH_CGROUP, "No process is in the cgroup /a.");
        check_missing(&s, 4, MERGEMEM_ERROR_NO_SUCH_UNIT, "No process belongs to the unit web.service.");
        check_missing(&s, 5, MERGEMEM_ERROR_NO_SUCH_USER, "There is no user \"somebody\".");
        check_missing(&s, 6, MERGEMEM_ERROR_NO_SUCH_LIBRARY,
                      "No process has the library libm in its memory.");

        s.only_own = true;
        s.values[5].uid = 1;
        check_missing(&s, 0, MERGEMEM_ERROR_NO_SUCH_PROCESS, "There is no process 7 among your own.");
        check_missing(&s, 5, MERGEMEM_ERROR_NOTHING_MATCHES,
                      "The user somebody has no process among your own.");
        check_missing(&s, 6, MERGEMEM_ERROR_NO_SUCH_LIBRARY,
                      "No process among your own has the library libm in its memory.");
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
        g_test_add_func("/selector/names", test_names);
        g_test_add_func("/selector/validity", test_validity);
        g_test_add_func("/selector/pids", test_pids);
        g_test_add_func("/selector/limits", test_limits);
        g_test_add_func("/selector/canonical", test_canonical);
        g_test_add_func("/selector/contents", test_contents);
        g_test_add_func("/selector/match/cgroup", test_match_cgroup);
        g_test_add_func("/selector/match/names", test_match_names);
        g_test_add_func("/selector/match/exe", test_match_exe);
        g_test_add_func("/selector/match/exe-deleted", test_match_exe_deleted);
        g_test_add_func("/selector/match/user", test_match_user);
        g_test_add_func("/selector/match/kinds", test_match_kinds);
        g_test_add_func("/selector/match/program", test_match_program);
        g_test_add_func("/selector/match/any", test_match_any);
        g_test_add_func("/selector/names-any", test_names_any);
        g_test_add_func("/selector/match/own", test_match_own);
        g_test_add_func("/selector/names-nobody", test_names_nobody);
        g_test_add_func("/selector/names-alternatives", test_names_alternatives);
        g_test_add_func("/selector/unseen", test_unseen);
        g_test_add_func("/selector/missing", test_missing);
        g_test_add_func("/selector/cgroup-of", test_cgroup_of);
        g_test_add_func("/selector/cgroup-path", test_cgroup_path);
        return g_test_run();
}
