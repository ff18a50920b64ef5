/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/rules.h"

static void read_conf(const char *text, struct conf *c)
{
        g_assert_cmpint(conf_init(c), ==, 0);
        g_assert_cmpint(conf_parse("a.conf", text, strlen(text), c), ==, 0);
        g_assert_cmpint(conf_check(c), ==, 0);
}

/* The one that most tests are about. */
static struct mm_process process = {
        .pid = 100,
        .ruid = 1000,
        .euid = 1001,
        .comm = "worker",
        .exe = (char *) "/usr/bin/worker-3.1",
        .cgroup = (char *) "/system.slice/web.service/pool/a",
};
static const struct rule_subject subject = {
        .process = &process,
        .unit = "web.service",
        .user = "alice",
        .exe_verified = true,
        .exe_names = { "/usr/bin/worker-3.1", "/usr/bin/worker3" },
        .n_exe_names = 2,
};

static void test_match(void)
{
        static const struct {
                const char *keys;
                bool match;
        } samples[] = {
                { "Comm=worker", true },
                { "Comm=work", false },
                { "Comm=work*", true },
                { "Comm=[a-z]orker", true },
                { "Comm=other worker", true },
                { "Comm=WORKER", false },
                { "Exe=/usr/bin/worker-3.1", true },
                { "Exe=/usr/bin/worker-*", true },
                { "Exe=/usr/bin/worker", false },
                { "Exe=/usr/bin/worker3", true }, /* a link */
                { "Exe=/usr/bin/worker3*", false },
                { "Exe=/usr/*", false }, /* one directory */
                { "Exe=/usr/*/*", true },
                { "Unit=web", true },
                { "Unit=web.service", true },
                { "Unit=we*", true },
                { "Unit=web.socket", false },
                { "Unit=w", false },
                { "Cgroup=/system.slice", true },
                { "Cgroup=/system.slice/web.service", true },
                { "Cgroup=/system.slice/web.service/pool/a", true },
                { "Cgroup=/system.slice/web.service/pool/a/b", false },
                { "Cgroup=/system.slice/web", false },
                { "Cgroup=/system.slice/*", true },
                { "Cgroup=/system.slice/*/pool", true },
                { "Cgroup=/*/*/*/*", true },
                { "Cgroup=/*/*/*/*/*", false },
                { "Cgroup=/sys*/w*.service", true },
                { "Cgroup=/sys*.service", false },
                { "Cgroup=/", true },
                { "User=1000", true },
                { "User=1001", false }, /* the effective one */
                { "User=alice", true },
                { "User=al*", true },
                { "User=bob", false },
                { "User=bob 1000", true },
                { "Comm=worker\nUser=alice\nUnit=web", true },
                { "Comm=worker\nUser=alice\nUnit=mail", false },
                { "Comm=worker\nUser=bob\nUnit=web", false },
                { "Shlib=libfoo.so\nComm=worker", true }, /* of processes */
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                g_autofree char *text = g_strdup_printf("[Rule a]\n%s\n", samples[i].keys);
                _cleanup_(conf_done) struct conf c = {};

                g_test_message("%s", samples[i].keys);
                read_conf(text, &c);
                g_assert_cmpint(rule_match_process(&c.rules[1], &subject), ==, samples[i].match);
                g_assert_true(rule_match_process(&c.rules[0], &subject));
        }
}

/* What a process does not have matches no pattern, not even "*". */
static void test_unknown(void)
{
        static struct mm_process bare = { .pid = 100, .ruid = 7, .comm = "" };
        static const struct rule_subject nothing = { .process = &bare };
        static const char *const keys[] = { "Exe=/*", "Unit=*", "Cgroup=/", "User=*" };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                g_autofree char *text = g_strdup_printf("[Rule a]\n%s\n", keys[i]);
                _cleanup_(conf_done) struct conf c = {};

                read_conf(text, &c);
                g_assert_false(rule_match_process(&c.rules[1], &nothing));
                g_assert_true(rules_for_process(&c, &nothing) == &c.rules[0]);
        }
}

/* With Merge=never it counts as if it were, and is told from what is known. */
static void test_doubt(void)
{
        static struct mm_process bare = { .pid = 100, .ruid = 7, .comm = "x" };
        static struct mm_process kernel = { .pid = 2, .comm = "kthreadd", .kernel_thread = true };
        static const struct rule_subject nobody = { .process = &bare, .user_doubted = true },
                                         thread = { .process = &kernel };
        static const struct {
                const char *keys;
                bool match;    /* the one of which nothing is known */
                bool doubtful; /* the usual one, of whose user and program this is in doubt */
        } samples[] = {
                { "Exe=/usr/*", true, false },
                { "Exe=/usr/bin/worker-4", false, false },
                { "Exe=/mnt/worker", false, true },
                { "Exe=/mnt/*", true, false },
                { "Unit=mail", true, false },
                { "Cgroup=/user.slice", true, false },
                { "User=bob", true, true },
                { "User=b*", true, true },
                { "User=4711", false, false },
                { "Comm=y", false, false },
                { "User=bob\nComm=y", false, false },
                { "User=bob\nComm=x worker", true, true },
                { "User=bob\nExe=/mnt/worker\nComm=worker", false, true },
                { "User=4711\nExe=/mnt/worker", false, false },
        };
        struct rule_subject s = subject;

        s.user = NULL;
        s.user_doubted = true;
        s.exe_doubts[s.n_exe_doubts++] = "/mnt/worker";
        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                g_autofree char *text = g_strdup_printf("[Rule a]\n%s\n", samples[i].keys);
                g_autofree char *never_text = g_strconcat(text, "Merge=never\n", NULL);
                _cleanup_(conf_done) struct conf yes = {}, never = {};
                const struct rule *r;

                g_test_message("%s", samples[i].keys);
                read_conf(text, &yes);
                read_conf(never_text, &never);
                r = &never.rules[1];
                g_assert_false(rule_match_process(&yes.rules[1], &nobody));
                g_assert_cmpint(rule_match_process(r, &nobody), ==, samples[i].match);
                g_assert_true(!samples[i].match || rule_is_doubtful(r, &nobody));
                g_assert_false(rule_match_process(r, &thread));

                g_assert_true(!samples[i].doubtful || !rule_match_process(&yes.rules[1], &s));
                g_assert_cmpint(rule_match_process(r, &s) && rule_is_doubtful(r, &s), ==,
                                samples[i].doubtful);
                g_assert_true(rules_for_process(&never, &s) ==
                              (rule_match_process(r, &s) ? r : &never.rules[0]));
        }

        /* More than could be noted one by one. */
        s.all_exes_doubted = true;
        {
                _cleanup_(conf_done) struct conf c = {};

                read_conf("[Rule a]\nExe=/opt/any\nMerge=never\n", &c);
                g_assert_true(rule_match_process(&c.rules[1], &s));
                g_assert_true(rule_is_doubtful(&c.rules[1], &s));
        }
}

/* Who mounts what he likes where he likes runs no program that a rule names. */
static void test_exe_verified(void)
{
        static const char *const patterns[] = { "/usr/bin/*", "/usr/bin/worker-3.1" };

        for (size_t i = 0; i < ELEMENTSOF(patterns); i++) {
                g_autofree char *text = g_strdup_printf("[Rule a]\nExe=%s\n", patterns[i]);
                g_autofree char *never_text = g_strconcat(text, "Merge=never\n", NULL);
                _cleanup_(conf_done) struct conf yes = {}, never = {};
                struct rule_subject s = subject;

                read_conf(text, &yes);
                read_conf(never_text, &never);
                g_assert_true(rule_match_process(&yes.rules[1], &s));
                g_assert_true(rule_match_process(&never.rules[1], &s));
                s.exe_verified = false;
                s.n_exe_names = 0;
                g_assert_false(rule_match_process(&yes.rules[1], &s));
                g_assert_true(rule_match_process(&never.rules[1], &s));
        }
}

static void test_library(void)
{
        static const struct {
                const char *pattern, *path;
                bool match;
        } samples[] = {
                { "libm.so.6", "/usr/lib/libm.so.6", true },
                { "libm.so", "/usr/lib/libm.so.6", true },
                { "libm", "/usr/lib/libm.so.6", true },
                { "libm", "/usr/lib/libmvec.so.1", false },
                { "libm*", "/usr/lib/libmvec.so.1", true },
                { "*lib*", "/usr/lib/python", false }, /* the name, not the directory */
                { "/usr/lib/libm.so.6", "/usr/lib/libm.so.6", true },
                { "/usr/lib/libm.so", "/usr/lib/libm.so.6", false },
                { "/usr/lib/*.so.6", "/usr/lib/libm.so.6", true },
                { "/usr/*.so.6", "/usr/lib/libm.so.6", false },
        };
        _cleanup_(conf_done) struct conf none = {};

        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                g_autofree char *text = g_strdup_printf("[Rule a]\nShlib=%s\n", samples[i].pattern);
                _cleanup_(conf_done) struct conf c = {};

                g_test_message("%s %s", samples[i].pattern, samples[i].path);
                read_conf(text, &c);
                g_assert_cmpint(rule_match_library(&c.rules[1], samples[i].path), ==, samples[i].match);
        }
        read_conf("[Rule a]\nComm=x\n", &none);
        g_assert_true(rule_match_library(&none.rules[1], "/x"));
}

/* Which of several rules decides, for the process and for /usr/lib/libfoo.so.1 in it. */
static void test_order(void)
{
        static const struct {
                const char *text, *process, *library;
        } samples[] = {
                { "", "default", "default" },
                { "[Rule a]\nComm=other\n", "default", "default" },
                { "[Rule a]\nComm=worker\n", "a", "a" },
                /* A later one, all else being equal. */
                { "[Rule a]\nComm=worker\n[Rule b]\nComm=worker\n", "b", "b" },
                { "[Rule a]\nComm=x\n[Rule b]\nComm=worker\n[Rule a]\nComm=worker\n", "b", "b" },
                /* A name before a pattern. */
                { "[Rule a]\nComm=worker\n[Rule b]\nComm=work*\n", "a", "a" },
                { "[Rule a]\nComm=x* worker\n[Rule b]\nComm=w* work*\n", "a", "a" },
                /* By kind: unit, cgroup, program, user, name. */
                { "[Rule u]\nUnit=w*\n[Rule c]\nCgroup=/system.slice/web.service\n", "u", "u" },
                { "[Rule c]\nCgroup=/system.slice\n[Rule e]\nExe=/usr/bin/worker-3.1\n", "c", "c" },
                { "[Rule e]\nExe=/usr/bin/*\n[Rule u]\nUser=alice\n", "e", "e" },
                { "[Rule u]\nUser=a*\n[Rule c]\nComm=worker\n", "u", "u" },
                /* More kinds. */
                { "[Rule a]\nUnit=web\nComm=w*\n[Rule b]\nUnit=web\n", "a", "a" },
                { "[Rule a]\nUnit=web\nUser=al*\n[Rule b]\nUnit=web\nComm=worker\n", "a", "a" },
                /* The deeper cgroup, and the name of equal depth. */
                { "[Rule a]\nCgroup=/system.slice/*\n[Rule b]\nCgroup=/system.slice\n", "a", "a" },
                { "[Rule a]\nCgroup=/system.slice/web.service\n[Rule b]\nCgroup=/*/*\n", "a", "a" },
                { "[Rule a]\nCgroup=/system.slice\n[Rule b]\nCgroup=/\n", "a", "a" },
                /* Libraries: of the process that other keys match, and before all of them. */
                { "[Rule l]\nShlib=libfoo.so\n[Rule u]\nUnit=web\n", "u", "l" },
                { "[Rule l]\nShlib=libfoo*\n[Rule m]\nShlib=libfoo\n", "default", "m" },
                { "[Rule l]\nShlib=libfoo\nUser=bob\n", "default", "default" },
                { "[Rule l]\nShlib=libbar\n", "default", "default" },
                { "[Rule l]\nShlib=libfoo\nComm=worker\n[Rule m]\nShlib=libfoo\n", "default", "l" },
                /* Never. */
                { "[Rule n]\nComm=w*\nMerge=never\n[Rule u]\nUnit=web\n", "n", "n" },
                { "[Rule n]\nShlib=libf*\nMerge=never\n[Rule l]\nShlib=libfoo\nUnit=web\n", "default", "n" },
                { "[Rule n]\nComm=w*\nMerge=never\n[Rule l]\nShlib=libfoo\nUnit=web\n", "n", "n" },
                { "[Rule n]\nComm=x\nMerge=never\n[Rule u]\nUnit=web\n", "u", "u" },
                { "[Rule default]\nMerge=never\n[Rule u]\nUnit=web\n", "default", "default" },
                /* No is a decision like yes. */
                { "[Rule n]\nComm=worker\nMerge=no\n[Rule u]\nUnit=web\n", "u", "u" },
                { "[Rule n]\nUnit=web\nMerge=no\n[Rule c]\nComm=worker\n", "n", "n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                _cleanup_(conf_done) struct conf c = {};

                g_test_message("%s", samples[i].text);
                read_conf(samples[i].text, &c);
                g_assert_cmpstr(rules_for_process(&c, &subject)->name, ==, samples[i].process);
                g_assert_cmpstr(rules_for_library(&c, &subject, "/usr/lib/libfoo.so.1")->name, ==,
                                samples[i].library);
        }
}

static void test_cgroup_path(void)
{
        static const struct {
                const char *keys, *path;
        } samples[] = {
                { "Cgroup=/system.slice", "/system.slice" },
                { "Cgroup=/system.slice/*", "/system.slice/web.service" },
                { "Cgroup=/s*", "/system.slice" },
                { "Cgroup=/system.slice /system.slice/web.service/pool", "/system.slice/web.service/pool" },
                { "Unit=web", "/system.slice/web.service" },
                { "Unit=w*", "/system.slice/web.service" },
                { "Unit=web\nCgroup=/system.slice", "/system.slice/web.service" },
                { "Cgroup=/x", NULL },
                { "Unit=mail", NULL },
                { "User=alice", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                g_autofree char *text = g_strdup_printf("[Rule a]\n%s\n", samples[i].keys), *path = NULL;
                _cleanup_(conf_done) struct conf c = {};

                g_test_message("%s", samples[i].keys);
                read_conf(text, &c);
                g_assert_cmpint(rule_cgroup_path(&c.rules[1], &subject, &path), ==,
                                samples[i].path ? 0 : -ENXIO);
                g_assert_cmpstr(path, ==, samples[i].path);
        }
}

static void test_interval(void)
{
        _cleanup_(conf_done) struct conf c = {};

        read_conf("[Daemon]\nIntervalSec=30\n[Rule a]\nComm=x\n", &c);
        g_assert_cmpuint(rule_interval_usec(&c, &c.rules[0]), ==, 30000000);
        g_assert_cmpuint(rule_interval_usec(&c, &c.rules[1]), ==, 15000000);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/rules/match", test_match);
        g_test_add_func("/rules/unknown", test_unknown);
        g_test_add_func("/rules/doubt", test_doubt);
        g_test_add_func("/rules/exe-verified", test_exe_verified);
        g_test_add_func("/rules/library", test_library);
        g_test_add_func("/rules/order", test_order);
        g_test_add_func("/rules/cgroup-path", test_cgroup_path);
        g_test_add_func("/rules/interval", test_interval);
        return g_test_run();
}
