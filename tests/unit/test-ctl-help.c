/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/help.h"

#include <glib.h>
#include <stdlib.h>

#include "ctl/options.h"
#include "ctl/verbs.h"

/* The tables of verbs and options, --help, and the manual page in its source say the same. */

static char *read_manual(void)
{
        char *text;

        g_assert_true(g_file_get_contents(g_getenv("MERGEMEMCTL_MANUAL"), &text, NULL, NULL));
        return text;
}

static char *help_text(void)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        help_print(f);
        fclose(f);
        return text;
}

/* The words that follow an occurrence of @prefix, made of @letters; each one once. */
static GHashTable *words_after(const char *text, const char *prefix, const char *letters)
{
        GHashTable *words = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

        while ((text = strstr(text, prefix))) {
                size_t n;

                text += strlen(prefix);
                n = strspn(text, letters);
                if (n > 0)
                        g_hash_table_add(words, g_strndup(text, n));
        }
        return words;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyz"

static void assert_knows_options(const char *text)
{
        GHashTable *said = words_after(text, "--", LETTERS "-");

        for (size_t i = 0; i < option_table_size; i++)
                if (!g_hash_table_contains(said, option_table[i].name))
                        g_error("--%s is not described", option_table[i].name);
        /* As many, so no others. */
        g_assert_cmpuint(g_hash_table_size(said), ==, option_table_size);
        g_hash_table_unref(said);
}

static void test_options(void)
{
        char *manual = read_manual(), *help = help_text();

        assert_knows_options(manual);
        assert_knows_options(help);
        g_free(manual);
        free(help);
}

/* "*-H*, *--host*=", "*--json*[=", "*--all*" and a line's end, at the begin of a line. */
static void test_option_forms(void)
{
        char *manual = read_manual(), *help = help_text();

        for (size_t i = 0; i < option_table_size; i++) {
                const struct option_info *o = option_table + i;
                const char *end = !o->arg ? "" : o->arg_optional ? "[=" : "=";
                char *letter = o->id < 0x100 ? g_strdup_printf("*-%c*, ", o->id) : g_strdup("");
                char *in_manual = g_strdup_printf("\n%s*--%s*%s", letter, o->name, o->arg ? end : "\n");
                char *in_help = g_strdup_printf("--%s%s%s", o->name, end, o->arg ? o->arg : " ");

                if (!strstr(manual, in_manual))
                        g_error("not in the manual page: %s", in_manual);
                if (!strstr(help, in_help))
                        g_error("not in --help: %s", in_help);
                g_free(letter);
                g_free(in_manual);
                g_free(in_help);
        }
        g_free(manual);
        free(help);
}

static void test_verbs(void)
{
        char *manual = read_manual(), *help = help_text();
        char *section = strstr(manual, "\n# VERBS\n"), *end;
        GHashTable *described;

        g_assert_nonnull(section);
        end = strstr(section, "\n# SELECTORS\n");
        g_assert_nonnull(end);
        *end = '\0';
        described = words_after(section, "\n*", LETTERS "-");
        for (size_t i = 0; i < verb_table_size; i++) {
                char *in_help = g_strdup_printf("\n  %s ", verb_table[i].name);

                if (!g_hash_table_contains(described, verb_table[i].name))
                        g_error("'%s' is not described", verb_table[i].name);
                if (!strstr(help, in_help))
                        g_error("'%s' is not in --help", verb_table[i].name);
                g_free(in_help);
        }
        g_assert_cmpuint(g_hash_table_size(described), ==, verb_table_size);
        g_hash_table_unref(described);
        g_free(manual);
        free(help);
}

static void test_width(void)
{
        char *help = help_text(), **lines = g_strsplit(help, "\n", -1);

        for (size_t i = 0; lines[i]; i++)
                g_assert_cmpuint(strlen(lines[i]), <=, 80);
        g_strfreev(lines);
        free(help);
}

static void assert_runs(int status, const char *out, const char *const *args)
{
        GPtrArray *argv = g_ptr_array_new();
        char *printed, *complained;
        int wait_status;

        g_ptr_array_add(argv, (void *) g_getenv("MERGEMEMCTL"));
        for (; *args; args++)
                g_ptr_array_add(argv, (void *) *args);
        g_ptr_array_add(argv, NULL);
        g_assert_true(g_spawn_sync(NULL, (char **) argv->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL,
                                   &printed, &complained, &wait_status, NULL));
        g_assert_true(WIFEXITED(wait_status));
        g_assert_cmpint(WEXITSTATUS(wait_status), ==, status);
        g_assert_cmpstr(printed, ==, out);
        /* One line for each error, and none without. */
        if (status == 0)
                g_assert_cmpstr(complained, ==, "");
        else
                g_assert_true(strchr(complained, '\n') == complained + strlen(complained) - 1);
        g_free(printed);
        g_free(complained);
        g_ptr_array_unref(argv);
}

#define RUNS(status, out, ...) assert_runs(status, out, (const char *const[]){ __VA_ARGS__, NULL })

/* What the program itself does where it needs no service. */
static void test_program(void)
{
        char *help = help_text();

        RUNS(0, help, "--help");
        RUNS(0, help, "help");
        RUNS(0, help, "merge", "-h");
        RUNS(2, "", "frobnicate");
        RUNS(2, "", "--frobnicate");
        RUNS(2, "", "list", "everything");
        RUNS(2, "", "list", "jobs", "--all");
        RUNS(2, "", "list", "rules", "--shlib=libm");
        RUNS(2, "", "list", "processes", "--shlib=libm");
        RUNS(2, "", "list", "cgroups", "--all", "--shlib=libm");
        RUNS(2, "", "list", "owners", "--shlib=libm", "--comm=x");
        RUNS(5, "", "list", "libraries", "--shlib=libm", "--bus=unix:path=/nonexistent/bus");
        RUNS(2, "", "list", "jobs", "--others");
        RUNS(2, "", "merge");
        RUNS(2, "", "disable");
        RUNS(2, "", "disable", "web", "--unit=web");
        RUNS(5, "", "--bus=unix:path=/nonexistent/bus");
        RUNS(5, "", "merge", "--all", "--bus=unix:path=/nonexistent/bus");
        RUNS(5, "", "cancel", "1", "--bus=unix:path=/nonexistent/bus");
        free(help);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/help/options", test_options);
        g_test_add_func("/ctl/help/option-forms", test_option_forms);
        g_test_add_func("/ctl/help/verbs", test_verbs);
        g_test_add_func("/ctl/help/width", test_width);
        g_test_add_func("/ctl/help/program", test_program);
        return g_test_run();
}
