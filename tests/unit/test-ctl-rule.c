/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/rule.h"

#include <glib.h>

#include "shared/rule.h"

static void assert_name(const char *expected, enum selector_kind kind, const char *a, const char *b)
{
        struct selector s = {};
        char *name;

        g_assert_cmpint(selector_add(&s, kind, a), ==, 0);
        if (b)
                g_assert_cmpint(selector_add(&s, SELECTOR_USER, b), ==, 0);
        name = rule_name(&s);
        g_assert_cmpstr(name, ==, expected);
        g_assert_true(rule_name_is_valid(name));
        free(name);
        selector_done(&s);
}

static void test_name(void)
{
        g_autofree char *longest = g_strnfill(200, 'n'), *cut = g_strnfill(RULE_NAME_MAX, 'n');

        assert_name("web.service", SELECTOR_UNIT, "web", NULL);
        assert_name("web.service-alice", SELECTOR_UNIT, "web", "alice");
        assert_name("python3.11", SELECTOR_EXE, "/usr/bin/python3.11", NULL);
        assert_name("b", SELECTOR_CGROUP, "/a/b/", NULL);
        assert_name("_", SELECTOR_CGROUP, "/", NULL);
        assert_name("Web_Content", SELECTOR_COMM, "Web Content", NULL);
        assert_name("php-_", SELECTOR_UNIT, "php-*", NULL);
        assert_name("_x", SELECTOR_COMM, ".x", NULL);
        assert_name("__", SELECTOR_COMM, "\xc3\xa4", NULL);
        assert_name(cut, SELECTOR_COMM, longest, NULL);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/rule/name", test_name);
        return g_test_run();
}
