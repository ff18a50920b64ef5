/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mergemem/options.h"

#include <glib.h>

#include "shared/log.h"

/* The command line of mergemem, what it selects, and that --help and the manual page know its options. */

/* Words of @line are the arguments; *@ret_argv lives as long as the options. */
static int parse(const char *line, struct options *ret, char ***ret_argv)
{
        char **argv = g_strsplit(line, " ", -1);
        int r = options_parse((int) g_strv_length(argv), argv, ret);

        if (r < 0)
                g_strfreev(argv);
        else
                *ret_argv = argv;
        return r;
}

static void done(struct options *o, char **argv)
{
        options_done(o);
        g_strfreev(argv);
}

static void test_defaults(void)
{
        struct options o;
        char **argv = NULL;

        g_assert_cmpint(parse("/usr/bin/mergemem php-fpm", &o, &argv), ==, 0);
        g_assert_cmpstr(o.name, ==, "mergemem");
        g_assert_false(o.help || o.version || o.all || o.dry_run);
        g_assert_true(o.stacks);
        g_assert_cmpuint(o.log_mask, ==, CONF_LOG_RESULTS);
        g_assert_cmpuint(o.interval_usec, ==, 0);
        g_assert_null(o.config);
        g_assert_cmpuint(o.n_targets, ==, 1);
        done(&o, argv);

        g_assert_cmpint(parse("./mergeall", &o, &argv), ==, 0);
        g_assert_cmpstr(o.name, ==, "mergeall");
        g_assert_true(o.all);
        done(&o, argv);
        /* Only this name. */
        g_assert_cmpint(parse("mergeall2", &o, &argv), ==, -EINVAL);
        g_assert_cmpint(parse("mergemem --all", &o, &argv), ==, 0);
        g_assert_true(o.all);
        done(&o, argv);
}

static void test_all_options(void)
{
        struct options o;
        char **argv = NULL;

        g_assert_cmpint(parse("mergemem a -s libm --shlib=/lib/libc.so 12 --no-stack --loglevel 13 "
                              "--dry-run --interval=10min --config=/tmp/c -- -b",
                              &o, &argv), ==, 0);
        g_assert_cmpuint(o.n_libraries, ==, 2);
        g_assert_cmpstr(o.libraries[0], ==, "libm");
        g_assert_cmpstr(o.libraries[1], ==, "/lib/libc.so");
        g_assert_false(o.stacks);
        g_assert_true(o.dry_run);
        g_assert_cmpuint(o.log_mask, ==, CONF_LOG_RESULTS | CONF_LOG_MAPS | CONF_LOG_GROUPS);
        g_assert_cmpuint(o.interval_usec, ==, 600 * INTERVAL_MIN_USEC);
        g_assert_cmpstr(o.config, ==, "/tmp/c");
        /* In their order, wherever they stand. */
        g_assert_cmpuint(o.n_targets, ==, 3);
        g_assert_cmpstr(o.targets[0], ==, "a");
        g_assert_cmpstr(o.targets[1], ==, "12");
        g_assert_cmpstr(o.targets[2], ==, "-b");
        done(&o, argv);
}

static void test_values(void)
{
        static const struct {
                const char *line;
                bool valid;
        } cases[] = {
                { "mergemem", false },
                { "mergemem -s libm", true },
                { "mergemem --all -s libm", true },
                { "mergemem --all php", false },
                { "mergeall php", false },
                { "mergemem --loglevel=0 x", true },
                { "mergemem --loglevel=15 x", true },
                { "mergemem --loglevel=16 x", false },
                { "mergemem --loglevel=-1 x", false },
                { "mergemem --loglevel= x", false },
                { "mergemem --loglevel=debug x", false },
                { "mergemem --loglevel", false },
                { "mergemem --interval=1 x", true },
                { "mergemem --interval=1d x", true },
                { "mergemem --interval=86401 x", false },
                { "mergemem --interval=999ms x", false },
                { "mergemem --interval=0 x", false },
                { "mergemem --interval=-1 x", false },
                { "mergemem --interval=often x", false },
                { "mergemem 0", false },
                { "mergemem 1", true },
                { "mergemem 2147483647", true },
                { "mergemem 2147483648", false },
                { "mergemem 99999999999999999999999", false },
                { "mergemem 12a", true },
                { "mergemem ./12", true },
                { "mergemem --stack x", false },
                { "mergemem -x", false },
                { "mergemem --dry-run=yes x", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct options o;
                char **argv = NULL;
                int r = parse(cases[i].line, &o, &argv);

                if (r != (cases[i].valid ? 0 : -EINVAL))
                        g_error("%s: %d", cases[i].line, r);
                if (r >= 0)
                        done(&o, argv);
        }
}

/* Empty words, which a script has for what it does not know. */
static void test_empty(void)
{
        static const char *const words[][4] = {
                { "mergemem", "" },
                { "mergemem", "x", "" },
                { "mergemem", "-s", "", "x" },
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                char *argv[5] = {};
                struct options o;
                int argc = 0;

                for (; argc < 4 && words[i][argc]; argc++)
                        argv[argc] = (char *) words[i][argc];
                g_assert_cmpint(options_parse(argc, argv, &o), ==, -EINVAL);
        }
        g_assert_cmpint(options_parse(0, (char *[]){ NULL }, &(struct options) {}), ==, -EINVAL);
}

static void test_selector(void)
{
        _cleanup_(selector_done) struct selector s = {};
        g_autofree char *cwd = g_get_current_dir(), *path = g_build_filename(cwd, "bin/x", NULL),
                        *library = g_build_filename(cwd, "./libm.so", NULL);
        struct options o;
        char **argv = NULL;

        g_assert_cmpint(parse("mergemem php-fpm 12 /usr/bin/x bin/x -s libc -s ./libm.so", &o, &argv), ==,
                        0);
        g_assert_cmpint(options_selector(&o, &s), ==, 0);
        g_assert_true(s.any);
        g_assert_false(s.all);
        g_assert_cmpint(s.trust, ==, TRUST_USER);
        g_assert_true(mm_file_id_known(&s.user_ns));
        g_assert_cmpuint(s.n_values, ==, 6);
        g_assert_cmpint(s.values[0].kind, ==, SELECTOR_SHLIB);
        g_assert_cmpstr(s.values[0].text, ==, "libc");
        g_assert_cmpint(s.values[1].kind, ==, SELECTOR_SHLIB);
        g_assert_cmpstr(s.values[1].text, ==, library);
        g_assert_cmpint(s.values[2].kind, ==, SELECTOR_PROGRAM);
        g_assert_cmpstr(s.values[2].text, ==, "php-fpm");
        g_assert_cmpint(s.values[3].kind, ==, SELECTOR_PID);
        g_assert_cmpint(s.values[3].pid, ==, 12);
        g_assert_cmpint(s.values[4].kind, ==, SELECTOR_EXE);
        g_assert_cmpstr(s.values[4].text, ==, "/usr/bin/x");
        g_assert_cmpint(s.values[5].kind, ==, SELECTOR_EXE);
        g_assert_cmpstr(s.values[5].text, ==, path);
        done(&o, argv);
}

static void test_too_many(void)
{
        char *argv[SELECTOR_VALUES_MAX + 2] = { (char *) "mergemem" };
        struct options o;

        for (size_t i = 1; i < ELEMENTSOF(argv); i++)
                argv[i] = (char *) "12";
        g_assert_cmpint(options_parse(SELECTOR_VALUES_MAX + 2, argv, &o), ==, -EINVAL);
        g_assert_cmpint(options_parse(SELECTOR_VALUES_MAX + 1, argv, &o), ==, 0);
        options_done(&o);
}

/* What stands behind "--" in a text, each once. */
static GHashTable *options_in(const char *text)
{
        GHashTable *words = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

        while ((text = strstr(text, "--"))) {
                size_t n;

                text += 2;
                n = strspn(text, "abcdefghijklmnopqrstuvwxyz-");
                if (n > 0)
                        g_hash_table_add(words, g_strndup(text, n));
        }
        return words;
}

static char *help_text(void)
{
        char *help = NULL;
        size_t size;
        FILE *f = open_memstream(&help, &size);

        options_help(f);
        fclose(f);
        return help;
}

static void test_width(void)
{
        char *help = help_text(), **lines = g_strsplit(help, "\n", -1);

        for (size_t i = 0; lines[i]; i++)
                g_assert_cmpuint(strlen(lines[i]), <=, 80);
        g_strfreev(lines);
        free(help);
}

/* An option, as it can be given. */
static const struct {
        const char *name, *value;
} all_options[] = {
        { "shlib", "=y" },    { "all", "" },       { "no-stack", "" }, { "dry-run", "" },
        { "interval", "=1" }, { "loglevel", "=1" }, { "config", "=y" },  { "help", "" },
        { "version", "" },
};

static void test_described(void)
{
        g_autofree char *manual = NULL;
        char *help = help_text();

        g_assert_true(g_file_get_contents(g_getenv("MERGEMEM_MANUAL"), &manual, NULL, NULL));
        for (int i = 0; i < 2; i++) {
                GHashTable *said = options_in(i == 0 ? help : manual);

                for (size_t k = 0; k < ELEMENTSOF(all_options); k++)
                        if (!g_hash_table_contains(said, all_options[k].name))
                                g_error("--%s is not described", all_options[k].name);
                g_assert_cmpuint(g_hash_table_size(said), ==, ELEMENTSOF(all_options));
                g_hash_table_unref(said);
        }
        for (size_t k = 0; k < ELEMENTSOF(all_options); k++) {
                g_autofree char *line = g_strdup_printf("mergemem --%s%s%s", all_options[k].name,
                                                        all_options[k].value,
                                                        streq(all_options[k].name, "all") ? "" : " x");
                struct options o;
                char **argv = NULL;

                g_assert_cmpint(parse(line, &o, &argv), ==, 0);
                done(&o, argv);
        }
        free(help);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/mergemem/options/defaults", test_defaults);
        g_test_add_func("/mergemem/options/all", test_all_options);
        g_test_add_func("/mergemem/options/values", test_values);
        g_test_add_func("/mergemem/options/empty", test_empty);
        g_test_add_func("/mergemem/options/selector", test_selector);
        g_test_add_func("/mergemem/options/too-many", test_too_many);
        g_test_add_func("/mergemem/options/width", test_width);
        g_test_add_func("/mergemem/options/described", test_described);
        return g_test_run();
}
