/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/options.h"

#include <glib.h>
#include <stdlib.h>

#include "shared/macro.h"

/* The table of options, --help, and the manual page in its source say the same; and what the program
 * does where it starts none. */

#define LETTERS "abcdefghijklmnopqrstuvwxyz-"

static char *help_text(void)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        options_help(f);
        fclose(f);
        return text;
}

static char *manual_text(void)
{
        char *text;

        g_assert_true(g_file_get_contents(g_getenv("MERGEMEM_RUN_MANUAL"), &text, NULL, NULL));
        return text;
}

static void test_forms(void)
{
        g_autofree char *manual = manual_text();
        char *help = help_text();

        for (size_t i = 0; i < option_table_size; i++) {
                const struct option_info *o = option_table + i;
                g_autofree char *letter = o->id < 0x100 ? g_strdup_printf("*-%c*, ", o->id) : g_strdup("");
                g_autofree char *in_manual = g_strdup_printf("\n%s*--%s*%s", letter, o->name,
                                                             o->arg ? "=" : "\n");
                g_autofree char *in_help = g_strdup_printf("--%s%s%s", o->name, o->arg ? "=" : " ",
                                                           o->arg ?: "");

                if (!strstr(manual, in_manual))
                        g_error("not in the manual page: %s", in_manual);
                if (!strstr(help, in_help))
                        g_error("not in --help: %s", in_help);
        }
        free(help);
}

/* Nor do they know any other. */
static void test_no_others(void)
{
        g_autofree char *manual = manual_text();
        char *section = strstr(manual, "\n# OPTIONS\n"), *end;

        g_assert_nonnull(section);
        end = strstr(section + 1, "\n# ");
        g_assert_nonnull(end);
        *end = '\0';
        for (const char *at = section; (at = strstr(at, "--")); ) {
                size_t n, i;

                at += 2;
                n = strspn(at, LETTERS);
                for (i = 0; i < option_table_size; i++)
                        if (strlen(option_table[i].name) == n && strncmp(option_table[i].name, at, n) == 0)
                                break;
                if (n > 0 && i == option_table_size)
                        g_error("the manual page has --%.*s", (int) n, at);
        }
}

static void test_width(void)
{
        char *help = help_text(), **lines = g_strsplit(help, "\n", -1);

        for (size_t i = 0; lines[i]; i++)
                g_assert_cmpuint(strlen(lines[i]), <=, 80);
        g_strfreev(lines);
        free(help);
}

static int parse(struct options *o, const char *const *words)
{
        int n = 0;

        while (words[n])
                n++;
        return options_parse(n, (char **) words, o);
}
#define PARSE(o, ...)                                                                            \
        ({                                                                                       \
                static const char *const words_[] = { "mergemem-run", __VA_ARGS__, NULL };       \
                                                                                                 \
                parse((o), words_);                                                              \
        })

static void test_parse(void)
{
        struct options o;

        g_assert_cmpint(PARSE(&o, "cat"), ==, 0);
        g_assert_cmpstr(o.argv[0], ==, "cat");
        g_assert_null(o.argv[1]);
        g_assert_null(o.group);
        g_assert_false(o.ksm || o.stable_hash || o.inherit || o.fallback || o.dry_run || o.verbose);

        g_assert_cmpint(PARSE(&o, "--group=a@b.service", "--ksm", "--stable-hash", "--inherit", "--fallback",
                              "--dry-run", "-v", "--", "--group", "x"), ==, 0);
        g_assert_cmpstr(o.group, ==, "a@b.service");
        g_assert_true(o.ksm && o.stable_hash && o.inherit && o.fallback && o.dry_run && o.verbose);
        g_assert_cmpstr(o.argv[0], ==, "--group");
        g_assert_cmpstr(o.argv[1], ==, "x");

        /* What follows the program is its own. */
        g_assert_cmpint(PARSE(&o, "--group", "g", "python3", "--ksm", "--", "-v"), ==, 0);
        g_assert_cmpstr(o.argv[0], ==, "python3");
        g_assert_cmpstr(o.argv[1], ==, "--ksm");
        g_assert_false(o.ksm || o.verbose);

        g_assert_cmpint(PARSE(&o, "--help"), ==, 0);
        g_assert_true(o.help);
        g_assert_cmpint(PARSE(&o, "--version"), ==, 0);
        g_assert_true(o.version);
}

struct run {
        int status;
        char *out, *err;
};

static struct run run(const char *const *words)
{
        GPtrArray *argv = g_ptr_array_new();
        struct run r;
        int status;

        g_ptr_array_add(argv, (void *) g_getenv("MERGEMEM_RUN"));
        for (; *words; words++)
                g_ptr_array_add(argv, (void *) *words);
        g_ptr_array_add(argv, NULL);
        g_assert_true(g_spawn_sync(NULL, (char **) argv->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL, &r.out,
                                   &r.err, &status, NULL));
        g_assert_true(WIFEXITED(status));
        r.status = WEXITSTATUS(status);
        g_ptr_array_unref(argv);
        return r;
}
#define RUN(...) run((const char *const[]){ __VA_ARGS__, NULL })

static void run_done(struct run *r)
{
        g_free(r->out);
        g_free(r->err);
}

static void assert_wrong(struct run r, const char *why)
{
        g_assert_cmpint(r.status, ==, 125);
        g_assert_cmpstr(r.out, ==, "");
        if (!strstr(r.err, why))
                g_error("'%s' does not say '%s'", r.err, why);
        g_assert_true(strchr(r.err, '\n') == r.err + strlen(r.err) - 1);
        run_done(&r);
}

static void test_wrong(void)
{
        g_autofree char *long_name = g_strnfill(256, 'a');
        g_autofree char *long_option = g_strdup_printf("--group=%s", long_name);

        assert_wrong(run((const char *const[]){ NULL }), "no program");
        assert_wrong(RUN("--ksm"), "no program");
        assert_wrong(RUN("--nonsense", "true"), "nonsense");
        assert_wrong(RUN("--group"), "argument");
        assert_wrong(RUN("--ksm=1", "true"), "argument");
        assert_wrong(RUN("--group=", "true"), "name of a group");
        assert_wrong(RUN("--group=a/b", "true"), "name of a group");
        assert_wrong(RUN("--group=a b", "true"), "name of a group");
        assert_wrong(RUN("--group=\n", "true"), "name of a group");
        assert_wrong(RUN("--group=\xc3\xa9", "true"), "name of a group");
        assert_wrong(RUN(long_option, "true"), "name of a group");
}

static void test_information(void)
{
        char *help = help_text();
        struct run r;

        r = RUN("--help");
        g_assert_cmpint(r.status, ==, 0);
        g_assert_cmpstr(r.out, ==, help);
        g_assert_cmpstr(r.err, ==, "");
        run_done(&r);
        r = RUN("--version", "--ksm");
        g_assert_cmpint(r.status, ==, 0);
        g_assert_true(g_str_has_prefix(r.out, "mergemem-run "));
        run_done(&r);
        free(help);
}

/* What could not be said is an error of ours, and said. */
static void test_full(void)
{
        static const char *const options[] = { "--help", "--version" };

        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                g_autofree char *line = g_strdup_printf("exec \"$0\" %s >/dev/full", options[i]);
                const char *const argv[] = { "/bin/sh", "-c", line, g_getenv("MERGEMEM_RUN"), NULL };
                g_autofree char *said = NULL;
                int status;

                g_assert_true(g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL,
                                           &said, &status, NULL));
                g_assert_true(WIFEXITED(status));
                g_assert_cmpint(WEXITSTATUS(status), ==, 125);
                g_assert_cmpstr(said, ==, "mergemem-run: cannot write to standard output: "
                                "No space left on device.\n");
        }
}

static void test_not_found(void)
{
        struct run r;

        r = RUN("no-such-program-anywhere");
        g_assert_cmpint(r.status, ==, 127);
        g_assert_cmpstr(r.err, ==, "mergemem-run: cannot execute no-such-program-anywhere: "
                        "No such file or directory.\n");
        run_done(&r);
        r = RUN("/etc/passwd");
        g_assert_cmpint(r.status, ==, 126);
        run_done(&r);
        r = RUN("/");
        g_assert_cmpint(r.status, ==, 126);
        run_done(&r);
        r = RUN("");
        g_assert_cmpint(r.status, ==, 127);
        run_done(&r);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/run-options/forms", test_forms);
        g_test_add_func("/run-options/no-others", test_no_others);
        g_test_add_func("/run-options/width", test_width);
        g_test_add_func("/run-options/parse", test_parse);
        g_test_add_func("/run-options/wrong", test_wrong);
        g_test_add_func("/run-options/information", test_information);
        g_test_add_func("/run-options/full", test_full);
        g_test_add_func("/run-options/not-found", test_not_found);
        return g_test_run();
}
