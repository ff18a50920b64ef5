/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/node-options.h"

#include <glib.h>
#include <stdlib.h>

#define OURS "/lib/ours.cjs"

static struct node_options of_arguments(const char *const *words)
{
        struct node_options o = { 0 };

        node_options_of_arguments((char *const *) words, OURS, &o);
        return o;
}
#define ARGUMENTS(...) of_arguments((const char *const[]){ "node", __VA_ARGS__, NULL })

static struct node_options of_text(const char *text)
{
        struct node_options o = { 0 };

        g_assert_cmpint(node_options_of_text(text, OURS, &o), ==, 0);
        return o;
}

static void test_name(void)
{
        static const char *const names[] = { "node", "nodejs", "node20", "node-22", "nodejs20",
                                             "node-22.3" };
        static const char *const others[] = { "", "nod", "nodes", "node-", "nodejs-", "node-red", "node20x",
                                              "node.js", "node-20-x", "volta-shim" };

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                g_assert_true(node_is_name(names[i]));
        for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
                g_assert_false(node_is_name(others[i]));
}

static void test_seed(void)
{
        g_assert_false(of_arguments((const char *const[]){ "node", NULL }).seed);
        g_assert_true(ARGUMENTS("--random-seed=1").seed);
        g_assert_true(ARGUMENTS("--random_seed=0", "a.js").seed);
        g_assert_true(ARGUMENTS("--inspect", "--random-seed=1", "a.js").seed);
        g_assert_false(ARGUMENTS("--random-seeds=1", "a.js").seed);
        g_assert_false(ARGUMENTS("--fuzzer-random-seed=1", "a.js").seed);
        g_assert_false(ARGUMENTS("--random").seed);
}

/* What is behind the script, or may be its value, is none of Node.js. */
static void test_script(void)
{
        g_assert_false(ARGUMENTS("a.js", "--random-seed=1").seed);
        g_assert_false(ARGUMENTS("--", "--random-seed=1").seed);
        g_assert_false(ARGUMENTS("-", "--random-seed=1").seed);
        g_assert_false(ARGUMENTS("--enable-source-maps", "a.js", "--random-seed=1").seed);
        g_assert_false(ARGUMENTS("--require=b.js", "a.js", "--random-seed=1").seed);
        g_assert_true(ARGUMENTS("--require", "b.js", "--random-seed=1", "a.js").seed);
        g_assert_true(ARGUMENTS("-r", "b.js", "-C", "x", "--random-seed=1", "a.js").seed);
        g_assert_false(ARGUMENTS("-e", "--random-seed=1").seed);
        g_assert_false(ARGUMENTS("-e").seed);
        g_assert_false(ARGUMENTS("", "--random-seed=1").seed);
}

static void test_limits(void)
{
        g_assert_cmpstr(ARGUMENTS("--permission", "a.js").limit, ==, "--permission");
        g_assert_cmpstr(ARGUMENTS("--experimental_permission", "a.js").limit, ==,
                        "--experimental-permission");
        g_assert_cmpstr(ARGUMENTS("--experimental-policy=p.json", "a.js").limit, ==,
                        "--experimental-policy");
        g_assert_null(ARGUMENTS("a.js", "--permission").limit);
        g_assert_null(ARGUMENTS("--permissions", "a.js").limit);
        g_assert_cmpstr(of_text("--no-warnings --permission").limit, ==, "--permission");
}

static void test_text(void)
{
        g_assert_false(of_text("").modules);
        g_assert_false(of_text("  --no-warnings  --max-old-space-size=200 ").modules);
        g_assert_true(of_text("-r x.js").modules);
        g_assert_true(of_text("--require=x.js").modules);
        g_assert_true(of_text("--no-warnings \"--require=a b.js\"").modules);
        g_assert_true(of_text("--requi\"re=a b.js").modules);
        g_assert_false(of_text("--title=\"a --require=b.js\"").modules);
        g_assert_false(of_text("--title=\"a \\\" --require=b.js\"").modules);
        /* Outside of quotes a \\ is one. */
        g_assert_false(of_text("--title=a\\\" --require=b.js\"").modules);
        g_assert_false(of_text("--title=\"\\").modules);

        g_assert_true(of_text("--require=" OURS).ours);
        g_assert_true(of_text("-r " OURS " -r x.js").ours);
        g_assert_true(of_text("-r x.js \"--require=" OURS "\"").ours);
        g_assert_false(of_text("--require=" OURS "x --title=" OURS).ours);
        g_assert_false(of_text("-r").ours);
}

static void assert_prepended(const char *text, const char *file, const char *expected)
{
        struct node_options o = { 0 };
        char *all = node_options_prepend(text, file);

        g_assert_cmpstr(all, ==, expected);
        /* As Node.js reads it, so do we. */
        g_assert_cmpint(node_options_of_text(all, file, &o), ==, 0);
        g_assert_true(o.ours);
        free(all);
}

static void test_prepend(void)
{
        assert_prepended("", OURS, "--require=" OURS);
        assert_prepended("-r x.js", OURS, "--require=" OURS " -r x.js");
        assert_prepended("-r \"x y.js\"", "/a b/c.js", "\"--require=/a b/c.js\" -r \"x y.js\"");
        assert_prepended("", "/\\\"/c", "\"--require=/\\\\\\\"/c\"");
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/run-node-options/name", test_name);
        g_test_add_func("/run-node-options/seed", test_seed);
        g_test_add_func("/run-node-options/script", test_script);
        g_test_add_func("/run-node-options/limits", test_limits);
        g_test_add_func("/run-node-options/text", test_text);
        g_test_add_func("/run-node-options/prepend", test_prepend);
        return g_test_run();
}
