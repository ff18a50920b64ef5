/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/selector.h"

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

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/selector/names", test_names);
        g_test_add_func("/selector/validity", test_validity);
        g_test_add_func("/selector/pids", test_pids);
        g_test_add_func("/selector/limits", test_limits);
        g_test_add_func("/selector/canonical", test_canonical);
        g_test_add_func("/selector/contents", test_contents);
        g_test_add_func("/selector/names-any", test_names_any);
        g_test_add_func("/selector/names-nobody", test_names_nobody);
        g_test_add_func("/selector/names-alternatives", test_names_alternatives);
        return g_test_run();
}
