/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/selector.h"
#include "shared/names.h"

/* What is said of a selector's value that means nobody. */

static void add(struct selector *s, enum selector_kind kind, const char *text)
{
        g_assert_cmpint(selector_add(s, kind, text, 0), ==, 0);
}

static void add_pid(struct selector *s, pid_t pid)
{
        g_assert_cmpint(selector_add(s, SELECTOR_PID, NULL, pid), ==, 0);
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

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/selector-missing/missing", test_missing);
        return g_test_run();
}
