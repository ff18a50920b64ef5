/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/options.h"

#include <glib.h>

#include "ctl/verbs.h"

#define ARGS_MAX 12

/* Words as after the program's name. getopt_long() sorts them, so they are copied. */
static int parse(const char *const *words, struct options *o)
{
        static char *argv[ARGS_MAX + 2];
        int argc = 1;

        argv[0] = (char *) "mergememctl";
        for (; words[argc - 1]; argc++)
                argv[argc] = (char *) words[argc - 1];
        argv[argc] = NULL;
        return options_parse(argc, argv, o);
}

#define PARSE(o, ...) parse((const char *const[ARGS_MAX + 1]){ __VA_ARGS__ }, o)

static void test_defaults(void)
{
        struct options o;

        g_assert_cmpint(PARSE(&o, NULL), ==, 0);
        g_assert_cmpstr(o.verb->name, ==, "stats");
        g_assert_cmpuint(o.n_args, ==, 0);
        g_assert_null(o.bus);
        g_assert_cmpint(o.json, ==, JSON_OFF);
        g_assert_cmpuint(o.limit, ==, 20);
        g_assert_true(o.legend);
        g_assert_true(o.block);
        g_assert_false(o.quiet);
        g_assert_true(selector_is_empty(&o.what));
        options_done(&o);
}

static void test_good(void)
{
        struct options o;

        g_assert_cmpint(PARSE(&o, "--json=short", "merge", "--shlib=libm", "--shlib", "libc", "-q",
                              "--no-block", "--trust=system", "--mechanism=ksm", "--no-legend",
                              "--bus=session"), ==, 0);
        g_assert_cmpstr(o.verb->name, ==, "merge");
        g_assert_cmpint(o.json, ==, JSON_SHORT);
        g_assert_cmpuint(o.what.names[SELECTOR_SHLIB].n, ==, 2);
        g_assert_cmpstr(o.what.names[SELECTOR_SHLIB].items[1], ==, "libc");
        g_assert_cmpstr(o.what.trust, ==, "system");
        g_assert_cmpstr(o.what.mechanism, ==, "ksm");
        g_assert_cmpstr(o.bus, ==, "session");
        g_assert_true(o.quiet);
        g_assert_false(o.block);
        g_assert_false(o.legend);
        options_done(&o);

        g_assert_cmpint(PARSE(&o, "unmerge", "--all", "--others", "--force", "-H", "root@far", "--json"), ==,
                        0);
        g_assert_true(o.what.all);
        g_assert_true(o.what.force);
        g_assert_true(o.what.others);
        g_assert_cmpstr(o.host, ==, "root@far");
        g_assert_cmpint(o.json, ==, JSON_PRETTY);
        options_done(&o);

        g_assert_cmpint(PARSE(&o, "cancel", "1", "2", "-Mbox"), ==, 0);
        g_assert_cmpuint(o.n_args, ==, 2);
        g_assert_cmpstr(o.args[1], ==, "2");
        g_assert_cmpstr(o.machine, ==, "box");
        options_done(&o);

        g_assert_cmpint(PARSE(&o, "estimate", "--pid=1", "--comm=a", "--exe=/b", "--cgroup=c", "--unit=d",
                              "--user=e", "--limit=0", "--json=off"), ==, 0);
        g_assert_cmpuint(o.what.n_pids, ==, 1);
        g_assert_cmpuint(o.what.names[SELECTOR_COMM].n, ==, 1);
        g_assert_cmpuint(o.what.names[SELECTOR_EXE].n, ==, 1);
        g_assert_cmpuint(o.what.names[SELECTOR_CGROUP].n, ==, 1);
        g_assert_cmpuint(o.what.names[SELECTOR_UNIT].n, ==, 1);
        g_assert_cmpuint(o.what.names[SELECTOR_USER].n, ==, 1);
        g_assert_cmpuint(o.limit, ==, 0);
        options_done(&o);

        g_assert_cmpint(PARSE(&o, "list", "libraries", "--user=www"), ==, 0);
        options_done(&o);

        g_assert_cmpint(PARSE(&o, "memory", "--by=library", "--unit=d", "--limit=5"), ==, 0);
        g_assert_cmpstr(o.by, ==, "library");
        options_done(&o);
        g_assert_cmpint(PARSE(&o, "pages", "12", "--owner=libm", "--flags=anon,~lru", "--flags", "=ksm"),
                        ==, 0);
        g_assert_cmpstr(o.owner, ==, "libm");
        g_assert_cmpuint(o.n_flags, ==, 2);
        g_assert_cmpstr(o.flags[1], ==, "=ksm");
        options_done(&o);
        g_assert_cmpint(PARSE(&o, "shared", "12", "7f00"), ==, 0);
        g_assert_cmpuint(o.n_args, ==, 2);
        options_done(&o);
}

/* --help and --version win over whatever else is missing. */
static void test_help(void)
{
        struct options o;

        g_assert_cmpint(PARSE(&o, "merge", "-h"), ==, 0);
        g_assert_true(o.help);
        options_done(&o);
        g_assert_cmpint(PARSE(&o, "--version"), ==, 0);
        g_assert_true(o.version);
        options_done(&o);
}

static void test_bad(void)
{
        static const struct {
                const char *words[ARGS_MAX + 1];
                const char *named; /* must be in the one line of the message */
        } cases[] = {
                { { "frob" }, "frob" },
                { { "--frob" }, "--frob" },
                { { "-x" }, "x" },
                { { "--pid" }, "--pid" },
                { { "merge", "--pid=1x" }, "1x" },
                { { "merge", "--comm=" }, "--comm" },
                { { "merge", "--all", "--trust=all" }, "--trust" },
                { { "merge", "--all", "--mechanism=x" }, "--mechanism" },
                { { "merge", "--all", "--force" }, "--force" },
                { { "merge", "--all", "--limit=1" }, "--limit" },
                { { "unmerge", "--all", "--trust=user" }, "--trust" },
                { { "unmerge", "--shlib=libm" }, "--shlib" },
                { { "estimate", "--all", "--limit=-1" }, "--limit" },
                { { "estimate", "--all=yes" }, "--all" },
                { { "--json=long" }, "long" },
                { { "--bus=nonsense" }, "nonsense" },
                { { "--bus=" }, "--bus" },
                { { "-H", "" }, "--host" },
                { { "-H", "a", "-M", "b" }, "--machine" },
                { { "--bus=system", "-M", "b" }, "--machine" },
                { { "stats", "--all" }, "--all" },
                { { "--no-block" }, "--no-block" },
                { { "merge" }, "merge" },
                { { "merge", "--trust=user" }, "merge" },
                { { "merge", "--all", "now" }, "now" },
                { { "list" }, "list" },
                { { "list", "jobs", "libraries" }, "libraries" },
                { { "cancel" }, "cancel" },
                { { "memory", "1" }, "1" },
                { { "memory", "--by=weight" }, "weight" },
                { { "memory", "--flags=anon" }, "--flags" },
                { { "pages" }, "pages" },
                { { "pages", "1", "--owner=" }, "--owner" },
                { { "pages", "1", "--all" }, "--all" },
                { { "shared", "1", "2", "3" }, "3" },
        };

        if (g_test_subprocess()) {
                const char *n = g_getenv("BAD_CASE");
                struct options o;
                int r;

                r = parse(cases[g_ascii_strtoull(n, NULL, 10)].words, &o);
                options_done(&o);
                exit(r == -EINVAL ? 0 : 1);
        }
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char *number = g_strdup_printf("%zu", i);
                char *pattern = g_strdup_printf("*%s*\n", cases[i].named);
                char *two_lines = g_strdup_printf("*\n*\n*");

                g_setenv("BAD_CASE", number, true);
                g_test_trap_subprocess(NULL, 0, 0);
                g_test_trap_assert_passed();
                g_test_trap_assert_stderr(pattern);
                g_test_trap_assert_stderr_unmatched(two_lines);
                g_test_trap_assert_stdout_unmatched("?*");
                g_free(number);
                g_free(pattern);
                g_free(two_lines);
        }
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/options/defaults", test_defaults);
        g_test_add_func("/ctl/options/good", test_good);
        g_test_add_func("/ctl/options/help", test_help);
        g_test_add_func("/ctl/options/bad", test_bad);
        return g_test_run();
}
