/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/situation.h"

#include <glib.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

#define CAPS_ALL UINT64_C(0x1ffffffffff)

static const struct situation usual = {
        .ruid = 1000, .euid = 1000, .rgid = 1000, .egid = 1000,
        .cap_permitted = 0, .cap_root = CAPS_ALL,
        .randomize = SITUATION_RANDOM,
        .stack = { 8 << 20, RLIM_INFINITY },
};

static void assert_refused(const struct situation *s, const char *why)
{
        struct refusal f = { "" };

        g_assert_cmpint(situation_judge(s, &f), <, 0);
        if (!strstr(f.text, why))
                g_error("'%s' says nothing of %s", f.text, why);
}

static void assert_possible(const struct situation *s)
{
        struct refusal f;

        g_assert_cmpint(situation_judge(s, &f), ==, 1);
}

static void test_usual(void)
{
        struct situation s = usual;

        assert_possible(&s);
        s.randomize = SITUATION_NO_HEAP;
        assert_possible(&s);
        s.personality = ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC;
        assert_possible(&s);
        s.ruid = s.euid = s.rgid = s.egid = 0;
        s.cap_permitted = CAPS_ALL;
        assert_possible(&s);
        /* Of root in a container both are smaller. */
        s.cap_permitted = s.cap_root = 0xff;
        assert_possible(&s);
}

static void test_fixed(void)
{
        struct situation s = usual;
        struct refusal f;

        s.randomize = SITUATION_FIXED;
        g_assert_cmpint(situation_judge(&s, &f), ==, 0);
}

static void test_refusals(void)
{
        struct situation s;

        s = usual;
        s.legacy_layout = true;
        assert_refused(&s, "vm.legacy_va_layout");
        s = usual;
        s.personality = ADDR_COMPAT_LAYOUT;
        assert_refused(&s, "ADDR_COMPAT_LAYOUT");
        s = usual;
        s.tracer = 4321;
        assert_refused(&s, "4321");
        s = usual;
        s.children_apart = true;
        assert_refused(&s, "PID namespace");
        s = usual;
        s.euid = 1001;
        assert_refused(&s, "effective");
        s = usual;
        s.egid = 1001;
        assert_refused(&s, "effective");
}

static void test_root_gains(void)
{
        struct situation s = usual;

        s.ruid = s.euid = 0;
        s.cap_permitted = CAPS_ALL & ~UINT64_C(1);
        assert_refused(&s, "capabilities");
        s.no_root = true;
        assert_possible(&s);
}

static void test_read(void)
{
        struct situation s;
        struct refusal f;

        g_assert_cmpint(situation_read(&s), ==, 0);
        g_assert_cmpuint(s.ruid, ==, getuid());
        g_assert_cmpint(s.tracer, ==, 0);
        g_assert_cmpuint(s.cap_permitted & ~s.cap_root, ==, 0);
        g_assert_cmpuint(s.personality, ==, (unsigned long) personality(0xffffffff));
        g_assert_cmpint(situation_judge(&s, &f), >=, 0);
}

static void test_explain(void)
{
        struct situation s = usual;
        struct refusal f;

        for (s.yama = 0; s.yama <= 3; s.yama++) {
                situation_explain_trace(&s, &f);
                g_assert_cmpint(strstr(f.text, "ptrace_scope") != NULL, ==, s.yama >= 2);
        }
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/run-situation/usual", test_usual);
        g_test_add_func("/run-situation/fixed", test_fixed);
        g_test_add_func("/run-situation/refusals", test_refusals);
        g_test_add_func("/run-situation/root-gains", test_root_gains);
        g_test_add_func("/run-situation/read", test_read);
        g_test_add_func("/run-situation/explain", test_explain);
        return g_test_run();
}
