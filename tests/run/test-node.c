/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "start.h"

/* Node.js with --stable-hash: one seed for all of a group, and numbers of its own for each process. */

#define NODE "/usr/bin/node"

/* Says what seed it has, and a number from everywhere that JavaScript runs in. */
static const char workers[] =
        "const { Worker } = require('worker_threads');\n"
        "const { fork } = require('child_process');\n"
        "const cluster = require('cluster');\n"
        "function say(what, number = Math.random()) {\n"
        "        require('fs').writeSync(1, `${what} ${number}\\n`);\n"
        "}\n"
        "function worker(what, options) {\n"
        "        const code = `require('fs').writeSync(1, '${what} ' + Math.random() + '\\\\n')`;\n"
        "        return new Promise(\n"
        "                done => new Worker(code, { eval: true, ...options }).on('exit', done));\n"
        "}\n"
        "function child(what, options) {\n"
        "        return new Promise(done => fork(__filename, [what], options).on('exit', done));\n"
        "}\n"
        "async function main() {\n"
        "        say('Seed', process.execArgv[0]);\n"
        "        say('Module', process.execArgv[1]);\n"
        "        say('Arguments', process.execArgv.length);\n"
        "        say('Options', `${process.env.NODE_OPTIONS}`);\n"
        "        say('Early', `${globalThis.early?.()}`);\n"
        "        say('Main');\n"
        "        await worker('Thread', {});\n"
        "        await worker('ThreadEnv', { env: {} });\n"
        "        await worker('ThreadArgv', { execArgv: [] });\n"
        "        await worker('ThreadBare', { env: {}, execArgv: [] });\n"
        "        await child('Child', {});\n"
        "        await child('ChildEnv', { env: {} });\n"
        "        await child('ChildArgv', { execArgv: [] });\n"
        "        await new Promise(done => cluster.fork().on('exit', done));\n"
        "}\n"
        "if (cluster.isWorker) {\n"
        "        say('Cluster');\n"
        "        process.exit();\n"
        "} else if (process.argv[2]) {\n"
        "        say(process.argv[2]);\n"
        "        say(process.argv[2] + 'Seed', process.execArgv[0]);\n"
        "} else\n"
        "        main();\n";

static const char *const drawn[] = { "Main", "Thread", "ThreadEnv", "ThreadArgv", "ThreadBare", "Child",
                                     "ChildEnv", "ChildArgv", "Cluster" };

/* What Math.random() is to be like, with and without. */
static const char numbers[] =
        "const seen = new Set();\n"
        "let sum = 0, tiny = 0;\n"
        "for (let i = 0; i < 100000; i++) {\n"
        "        const x = Math.random();\n"
        "        if (!(x >= 0 && x < 1)) throw new Error(`${x}`);\n"
        "        seen.add(x);\n"
        "        sum += x;\n"
        "        tiny += Math.floor(x * 2 ** 52) % 2;\n"
        "}\n"
        "if (seen.size < 99990) throw new Error(`only ${seen.size} numbers`);\n"
        "if (Math.abs(sum / 100000 - 0.5) > 0.01) throw new Error(`${sum / 100000} on average`);\n"
        "if (Math.abs(tiny / 100000 - 0.5) > 0.01) throw new Error(`${tiny / 100000} for bit 52`);\n"
        "const { value, ...rest } = Object.getOwnPropertyDescriptor(Math, 'random');\n"
        "console.log(JSON.stringify([rest, value.name, value.length, 'prototype' in value]));\n"
        "Math.random = () => 4;\n"
        "console.log(Math.random());\n";

static void set_options(void *userdata)
{
        g_setenv("NODE_OPTIONS", userdata, TRUE);
}

static Outcome run_node(const char *const *options, const char *const *argv, const char *node_options)
{
        const struct start s = { .options = options, .argv = argv,
                                 .setup = node_options ? set_options : NULL,
                                 .userdata = (void *) node_options };
        Outcome o = start_run(&s);

        assert_exited(&o, 0);
        return o;
}

static Outcome run_workers(const char *group, const char *node_options)
{
        g_autofree char *option = g_strdup_printf("--group=%s", group);
        Outcome o = run_node(WORDS(option, "--stable-hash"), WORDS(NODE, "/run/workers.js"), node_options);

        g_assert_cmpstr(o.err, ==, "");
        return o;
}

static bool differ(const Outcome *a, const Outcome *b, const char *key)
{
        g_autofree char *value = g_strdup(report_text(a->out, key));

        return strcmp(value, report_text(b->out, key)) != 0;
}

static void test_workers(void)
{
        g_auto(Outcome) a = run_workers("one", NULL), b = run_workers("one", NULL);
        g_auto(Outcome) other = run_workers("two", NULL);
        guint64 seed;

        g_assert_false(differ(&a, &b, "Seed"));
        g_assert_false(differ(&a, &b, "ChildSeed"));
        g_assert_false(differ(&a, &a, "ChildEnvSeed"));
        g_assert_true(differ(&a, &other, "Seed"));
        g_assert_true(g_str_has_prefix(report_text(a.out, "Seed"), "--random-seed="));
        seed = g_ascii_strtoull(report_text(a.out, "Seed") + strlen("--random-seed="), NULL, 10);
        g_assert_cmpuint(seed, >=, 1);
        g_assert_cmpuint(seed, <=, G_MAXINT32);
        g_assert_cmpstr(report_text(a.out, "Module"), ==, "--require=" RUN_MODULE);
        g_assert_cmpstr(report_text(a.out, "Options"), ==, "undefined");
        for (size_t i = 0; i < G_N_ELEMENTS(drawn); i++)
                if (!differ(&a, &b, drawn[i]))
                        g_error("%s has the same number in both: %s", drawn[i],
                                report_text(a.out, drawn[i]));
}

/* Without the module all of them would be alike: the test sees it. */
static void test_alike(void)
{
        const char *const argv[] = { NODE, "--random-seed=1234", "/run/workers.js", NULL };
        g_auto(Outcome) a = run_node(NULL, argv, NULL), b = run_node(NULL, argv, NULL);

        for (size_t i = 0; i < G_N_ELEMENTS(drawn); i++)
                if (differ(&a, &b, drawn[i]) != (strcmp(drawn[i], "ChildArgv") == 0))
                        g_error("%s", drawn[i]);
}

static void test_rotated(void)
{
        g_auto(Outcome) a = run_workers("turn", NULL), b = { 0 };

        g_assert_cmpint(unlink("/run/mergemem/groups/turn"), ==, 0);
        b = run_workers("turn", NULL);
        g_assert_true(differ(&a, &b, "Seed"));
}

static void test_numbers(void)
{
        g_auto(Outcome) plain = run_node(NULL, WORDS(NODE, "-e", numbers), NULL);
        g_auto(Outcome) seeded = run_node(WORDS("--stable-hash"), WORDS(NODE, "-e", numbers), NULL);

        g_assert_cmpstr(seeded.out, ==, plain.out);
        g_assert_cmpstr(seeded.err, ==, "");
}

static void test_own_seed(void)
{
        const char *const argv[] = { NODE, "--no-warnings", "--random-seed=7", "-p",
                                     "process.execArgv.slice(0, -2)", NULL };
        g_auto(Outcome) o = run_node(WORDS("--stable-hash", "-v"), argv, NULL);

        g_assert_cmpstr(o.out, ==, "[ '--no-warnings', '--random-seed=7' ]\n");
        g_assert_nonnull(strstr(o.err, "\nHashes:  no --random-seed, for Node.js: it has one already\n"));
}

static void test_options(void)
{
        const char options[] = "--no-warnings --require=/run/early.js";
        g_auto(Outcome) kept = run_workers("kept", "--no-warnings --stack-trace-limit=20");
        g_auto(Outcome) a = run_workers("early", options), b = run_workers("early", options);
        g_autofree char *twice = g_strdup_printf("--require=%s %s", RUN_MODULE, options);
        g_auto(Outcome) again = run_workers("early", twice);

        g_assert_cmpstr(report_text(kept.out, "Options"), ==, "--no-warnings --stack-trace-limit=20");
        /* What is loaded through NODE_OPTIONS is loaded before what the command line says. */
        g_assert_cmpstr(report_text(a.out, "Options"), ==, twice);
        g_assert_cmpstr(report_text(again.out, "Options"), ==, twice);
        g_assert_false(differ(&a, &b, "Seed"));
        g_assert_true(differ(&a, &b, "Early"));
        g_assert_true(differ(&a, &b, "Main"));
}

static void test_limits(void)
{
        static const char why[] = "\nHashes:  no --random-seed, for Node.js: --permission may keep it from "
                                  "reading " RUN_MODULE "\n";
        const char *const *options = WORDS("--stable-hash", "--dry-run");
        g_auto(Outcome) words = run_node(options, WORDS(NODE, "--permission", "a.js"), NULL);
        g_auto(Outcome) text = run_node(options, WORDS(NODE, "a.js"), "--permission");

        g_assert_nonnull(strstr(words.out, why));
        g_assert_nonnull(strstr(text.out, why));
}

static Outcome say_arguments(const char *const *options, const char *script)
{
        return run_node(options, WORDS(script, "x"), NULL);
}

static void test_scripts(void)
{
        g_auto(Outcome) env = say_arguments(WORDS("--stable-hash"), "/run/env.js");
        g_auto(Outcome) direct = say_arguments(WORDS("--stable-hash"), "/run/direct.js");
        g_auto(Outcome) without = say_arguments(NO_OPTIONS, "/run/env.js");
        g_auto(Outcome) wrapper = run_node(WORDS("--stable-hash", "-v"), WORDS("/run/node", "x"), NULL);

        g_assert_true(g_str_has_prefix(env.out, "x --random-seed="));
        g_assert_cmpstr(direct.out, ==, "x \n");
        g_assert_cmpstr(without.out, ==, "x \n");
        g_assert_cmpstr(wrapper.out, ==, "x\n");
        g_assert_null(strstr(wrapper.err, "random-seed"));
}

static void test_dry_run(void)
{
        g_auto(Outcome) o = run_node(WORDS("--stable-hash", "--dry-run"), WORDS(NODE, "a.js"), NULL);

        g_assert_nonnull(strstr(o.out, "\nHashes:  --random-seed, for Node.js\n"
                                       "Random:  --require=" RUN_MODULE ", for Node.js\n"));
        g_assert_cmpstr(o.err, ==, "");
}

/* As with kernel.randomize_va_space=0, for this process only. */
static void fix_layout(void *userdata)
{
        if (unshare(CLONE_NEWNS) < 0 ||
            mount("/run/fixed", "/proc/sys/kernel/randomize_va_space", NULL, MS_BIND, NULL) < 0)
                _exit(88);
}

/* Where the layout is as it is, the heap is not. */
static void test_fixed(void)
{
        const struct start s = { .options = WORDS("--stable-hash", "-v"), .setup = fix_layout,
                                 .argv = WORDS("/run/env.js", "x") };
        g_auto(Outcome) o = start_run(&s);

        assert_exited(&o, 0);
        g_assert_nonnull(strstr(o.err, "kernel.randomize_va_space=0"));
        g_assert_true(g_str_has_prefix(o.out, "x --random-seed="));
}

/* No seed without the module. */
static void assert_without(uid_t uid, const char *why)
{
        const struct start s = { .options = WORDS("--stable-hash"), .uid = uid,
                                 .argv = WORDS(NODE, "-p", "process.execArgv.length") };
        g_auto(Outcome) o = start_run(&s);
        g_autofree char *warning = g_strdup_printf("mergemem-run: no --random-seed for Node.js: "
                                                   "cannot read %s.\n", why);

        assert_exited(&o, 0);
        g_assert_cmpstr(o.out, ==, "2\n"); /* -p and what it prints */
        g_assert_cmpstr(o.err, ==, warning);
}

static void test_missing(void)
{
        g_assert_cmpint(chmod(RUN_MODULE, 0600), ==, 0);
        assert_without(UID_NOBODY, RUN_MODULE_UNRESOLVED ": Permission denied");
        g_assert_cmpint(rename(RUN_MODULE, "/run/away"), ==, 0);
        assert_without(0, RUN_MODULE_UNRESOLVED ": No such file or directory");
        g_assert_cmpint(rename("/run/away", RUN_MODULE), ==, 0);
        g_assert_cmpint(chmod(RUN_MODULE, 0644), ==, 0);
}

static void write_script(const char *path, const char *text)
{
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
        g_assert_cmpint(chmod(path, 0755), ==, 0);
}

int main(int argc, char *argv[])
{
        static const char say[] = "console.log(process.argv[2], process.execArgv.join(' '));\n";
        g_autofree char *env = g_strdup_printf("#!/usr/bin/env node\n%s", say);
        g_autofree char *direct = g_strdup_printf("#!" NODE "\n%s", say);

        start_init(&argc, &argv);
        write_script("/run/workers.js", workers);
        write_script("/run/early.js", "globalThis.early = Math.random;\n");
        write_script("/run/env.js", env);
        write_script("/run/direct.js", direct);
        write_script("/run/fixed", "0\n");
        write_script("/run/node", "#!/bin/sh\necho \"$@\"\n");
        g_test_add_func("/node/workers", test_workers);
        g_test_add_func("/node/alike", test_alike);
        g_test_add_func("/node/rotated", test_rotated);
        g_test_add_func("/node/numbers", test_numbers);
        g_test_add_func("/node/own-seed", test_own_seed);
        g_test_add_func("/node/options", test_options);
        g_test_add_func("/node/limits", test_limits);
        g_test_add_func("/node/scripts", test_scripts);
        g_test_add_func("/node/dry-run", test_dry_run);
        g_test_add_func("/node/fixed", test_fixed);
        g_test_add_func("/node/missing", test_missing);
        return start_end(g_test_run());
}
