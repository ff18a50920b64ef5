/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/selector.h"

#include <unistd.h>

#include "ctl-fake-bus.h"
#include "shared/macro.h"

/* The value that @kind makes of @value. */
static void assert_becomes(enum selector_kind kind, const char *value, const char *expected)
{
        struct selector s = {};

        g_assert_cmpint(selector_add(&s, kind, value), ==, 0);
        g_assert_cmpuint(s.names[kind].n, ==, 1);
        g_assert_cmpstr(s.names[kind].items[0], ==, expected);
        selector_done(&s);
}

static void test_values(void)
{
        static const struct {
                enum selector_kind kind;
                const char *value, *expected;
        } cases[] = {
                { SELECTOR_SHLIB, "libm.so.6", "libm.so.6" },
                { SELECTOR_SHLIB, "/lib/libm.so.6", "/lib/libm.so.6" },
                { SELECTOR_SHLIB, "sub/libm.so.6", "/usr/sub/libm.so.6" },
                { SELECTOR_SHLIB, "./libm.so.6", "/usr/./libm.so.6" },
                { SELECTOR_EXE, "prog", "/usr/prog" },
                { SELECTOR_EXE, "../a b", "/usr/../a b" },
                { SELECTOR_EXE, "/bin/sh", "/bin/sh" },
                { SELECTOR_COMM, "a/b", "a/b" },
                { SELECTOR_USER, "1000", "1000" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup/system.slice/", "/system.slice" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup", "/" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup//a", "/a" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup/unified/system.slice/", "/system.slice" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup/unified", "/" },
                { SELECTOR_CGROUP, "/sys/fs/cgroup/unifieds", "/unifieds" },
                { SELECTOR_CGROUP, "unified/a", "/unified/a" },
                { SELECTOR_CGROUP, "*.slice/a?", "/*.slice/a?" },
                { SELECTOR_CGROUP, "/sys/fs/cgroups/x", "/sys/fs/cgroups/x" },
                { SELECTOR_CGROUP, "system.slice/a", "/system.slice/a" },
                { SELECTOR_CGROUP, "//a///", "/a" },
                { SELECTOR_CGROUP, "/", "/" },
                { SELECTOR_UNIT, "nginx", "nginx.service" },
                { SELECTOR_UNIT, "a.b@1.2", "a.b@1.2.service" },
                { SELECTOR_UNIT, "php*", "php*" },
                { SELECTOR_UNIT, "php[0-9]", "php[0-9]" },
                { SELECTOR_UNIT, ".slice", ".slice.service" },
                { SELECTOR_UNIT, "user.slice", "user.slice" },
                { SELECTOR_UNIT, "init.scope", "init.scope" },
        };

        g_assert_cmpint(chdir("/usr"), ==, 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_becomes(cases[i].kind, cases[i].value, cases[i].expected);
        g_assert_cmpint(chdir("/"), ==, 0);
        assert_becomes(SELECTOR_EXE, "prog", "/prog");
}

static void test_refused(void)
{
        struct selector s = {};

        for (enum selector_kind kind = 0; kind < SELECTOR_KIND_MAX_; kind++)
                g_assert_cmpint(selector_add(&s, kind, ""), ==, -EINVAL);
        g_assert_cmpint(selector_add_pid(&s, "0"), ==, -EINVAL);
        g_assert_cmpint(selector_add_pid(&s, "-1"), ==, -EINVAL);
        g_assert_cmpint(selector_add_pid(&s, "12x"), ==, -EINVAL);
        g_assert_cmpint(selector_add_pid(&s, "99999999999"), ==, -EINVAL);
        g_assert_cmpint(selector_set_trust(&s, "everybody"), ==, -EINVAL);
        g_assert_cmpint(selector_set_mechanism(&s, "magic"), ==, -EINVAL);
        g_assert_cmpint(selector_set_huge_pages(&s, "magic"), ==, -EINVAL);
        g_assert_null(s.trust);
        g_assert_null(s.mechanism);
        g_assert_true(selector_is_empty(&s));
        selector_done(&s);
}

static void test_empty(void)
{
        struct selector s = {};

        /* These choose no process. */
        s.force = true;
        s.others = true;
        g_assert_cmpint(selector_set_trust(&s, "system"), ==, 0);
        g_assert_cmpint(selector_set_mechanism(&s, "ksm"), ==, 0);
        g_assert_true(selector_is_empty(&s));

        s.all = true;
        g_assert_false(selector_is_empty(&s));
        s.all = false;
        g_assert_cmpint(selector_add_pid(&s, "7"), ==, 0);
        g_assert_false(selector_is_empty(&s));
        selector_done(&s);
}

static void test_append(void)
{
        struct fake_bus f;
        struct selector s = { .all = true, .force = true, .others = true };
        sd_bus_message *m;
        static const char *const expected[9] = {
                "comm", "shlib", "pid", "all", "others", "force", "trust", "mechanism", "huge-pages",
        };
        const char *keys[9], *comm[2], *shlib, *trust, *mechanism, *huge_pages;
        uint32_t x, y;
        int all, force, others;

        fake_bus_open(&f);
        g_assert_cmpint(selector_add(&s, SELECTOR_COMM, "one"), ==, 0);
        g_assert_cmpint(selector_add(&s, SELECTOR_COMM, "two"), ==, 0);
        g_assert_cmpint(selector_add(&s, SELECTOR_SHLIB, "libm"), ==, 0);
        g_assert_cmpint(selector_add_pid(&s, "12"), ==, 0);
        g_assert_cmpint(selector_add_pid(&s, "4194304"), ==, 0);
        g_assert_cmpint(selector_set_trust(&s, "cgroup"), ==, 0);
        g_assert_cmpint(selector_set_mechanism(&s, "observe"), ==, 0);
        g_assert_cmpint(selector_set_huge_pages(&s, "split"), ==, 0);

        m = fake_bus_message(&f);
        g_assert_cmpint(selector_append(&s, m), >=, 0);
        fake_bus_seal(m);
        g_assert_cmpstr(sd_bus_message_get_signature(m, true), ==, "a{sv}");
        g_assert_cmpint(sd_bus_message_read(m, "a{sv}", 9,
                                            &keys[0], "as", 2, &comm[0], &comm[1],
                                            &keys[1], "as", 1, &shlib,
                                            &keys[2], "au", 2, &x, &y,
                                            &keys[3], "b", &all,
                                            &keys[4], "b", &others,
                                            &keys[5], "b", &force,
                                            &keys[6], "s", &trust,
                                            &keys[7], "s", &mechanism,
                                            &keys[8], "s", &huge_pages), >, 0);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                g_assert_cmpstr(keys[i], ==, expected[i]);
        g_assert_cmpstr(comm[0], ==, "one");
        g_assert_cmpstr(comm[1], ==, "two");
        g_assert_cmpstr(shlib, ==, "libm");
        g_assert_cmpuint(x, ==, 12);
        g_assert_cmpuint(y, ==, 4194304);
        g_assert_true(all);
        g_assert_true(others);
        g_assert_true(force);
        g_assert_cmpstr(trust, ==, "cgroup");
        g_assert_cmpstr(mechanism, ==, "observe");
        g_assert_cmpstr(huge_pages, ==, "split");
        sd_bus_message_unref(m);

        selector_done(&s);
        fake_bus_close(&f);
}

/* The keys, in the order in which they are sent. */
static void test_keys(void)
{
        static const char *const keys[] = { "comm", "exe", "cgroup", "unit", "user", "shlib" };
        struct fake_bus f;
        struct selector s = {};
        sd_bus_message *m;
        const char *key;

        fake_bus_open(&f);
        for (enum selector_kind kind = 0; kind < SELECTOR_KIND_MAX_; kind++)
                g_assert_cmpint(selector_add(&s, kind, "/x"), ==, 0);
        m = fake_bus_message(&f);
        g_assert_cmpint(selector_append(&s, m), >=, 0);
        fake_bus_seal(m);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                g_assert_cmpint(sd_bus_message_enter_container(m, 'e', "sv"), >, 0);
                g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                g_assert_cmpstr(key, ==, keys[i]);
                g_assert_cmpint(sd_bus_message_skip(m, "v"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >=, 0);
        }
        g_assert_true(sd_bus_message_at_end(m, false));
        sd_bus_message_unref(m);
        selector_done(&s);
        fake_bus_close(&f);
}

static void test_auto(void)
{
        struct fake_bus f;
        struct selector s = {};
        sd_bus_message *m;

        /* "auto" is what the service does when nothing is said. */
        fake_bus_open(&f);
        g_assert_cmpint(selector_set_mechanism(&s, "ksm"), ==, 0);
        g_assert_cmpint(selector_set_mechanism(&s, "auto"), ==, 0);
        m = fake_bus_message(&f);
        g_assert_cmpint(selector_append(&s, m), >=, 0);
        fake_bus_seal(m);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        g_assert_true(sd_bus_message_at_end(m, false));
        sd_bus_message_unref(m);
        selector_done(&s);
        fake_bus_close(&f);
}

static void test_not_utf8(void)
{
        struct fake_bus f;
        struct selector s = {};
        sd_bus_message *m;

        fake_bus_open(&f);
        g_assert_cmpint(selector_add(&s, SELECTOR_COMM, "a\377"), ==, 0);
        m = fake_bus_message(&f);
        g_assert_cmpint(selector_append(&s, m), ==, -EINVAL);
        sd_bus_message_unref(m);
        selector_done(&s);
        fake_bus_close(&f);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/selector/values", test_values);
        g_test_add_func("/ctl/selector/refused", test_refused);
        g_test_add_func("/ctl/selector/empty", test_empty);
        g_test_add_func("/ctl/selector/append", test_append);
        g_test_add_func("/ctl/selector/keys", test_keys);
        g_test_add_func("/ctl/selector/auto", test_auto);
        g_test_add_func("/ctl/selector/not-utf8", test_not_utf8);
        return g_test_run();
}
