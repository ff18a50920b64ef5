/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "ctl/verbs.h"
#include "shared/macro.h"

/* The keys that JSON is made of in the client's sources, and those that its manual page names. */

/* How sources name them: of columns, of tables, of both at once. */
static const char *const forms[] = {
        "\\.key = \"([^\"]*)\"",
        "\\b(?:table_new|list_rows)\\([^,\"]+, \"([^\"]*)\"",
        "\\breport_json_tallies\\([^\"]+\"([^\"]*)\", [^\"]+\"([^\"]*)\", \"([^\"]*)\"\\)",
};

/* Every group of every match becomes one of @words. Returns how many matches there were. */
static size_t add_matches(GHashTable *words, const char *form, const char *text)
{
        g_autoptr(GRegex) regex = g_regex_new(form, 0, 0, NULL);
        g_autoptr(GMatchInfo) match = NULL;
        size_t n = 0;

        g_assert_nonnull(regex);
        g_regex_match(regex, text, 0, &match);
        for (; g_match_info_matches(match); g_match_info_next(match, NULL)) {
                n++;
                for (int i = 1; i < g_match_info_get_match_count(match); i++)
                        g_hash_table_add(words, g_match_info_fetch(match, i));
        }
        return n;
}

static GHashTable *keys_of_sources(void)
{
        GHashTable *keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        const char *dir = g_getenv("MERGEMEMCTL_SOURCES"), *name;
        g_autoptr(GDir) d = g_dir_open(dir, 0, NULL);
        size_t n[ELEMENTSOF(forms)] = {};

        g_assert_nonnull(d);
        while ((name = g_dir_read_name(d))) {
                g_autofree char *path = g_build_filename(dir, name, NULL), *text = NULL;

                /* What tables and objects are written with has names of its own. */
                if (!(g_str_has_suffix(name, ".c") || g_str_has_suffix(name, ".h")) || streq(name, "json.c"))
                        continue;
                g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
                for (size_t i = 0; i < ELEMENTSOF(forms); i++)
                        n[i] += add_matches(keys, forms[i], text);
        }
        /* Each form is one that is in use. */
        for (size_t i = 0; i < ELEMENTSOF(forms); i++)
                g_assert_cmpuint(n[i], >, 0);
        /* The summary for people is a table too. */
        g_assert_true(g_hash_table_remove(keys, "stats"));
        return keys;
}

static GHashTable *keys_of_manual(void)
{
        GHashTable *keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_autofree char *text = NULL;
        char *section, *end;

        g_assert_true(g_file_get_contents(g_getenv("MERGEMEMCTL_MANUAL"), &text, NULL, NULL));
        section = strstr(text, "\n# JSON\n");
        g_assert_nonnull(section);
        end = strstr(section, "\n# EXAMPLES\n");
        g_assert_nonnull(end);
        *end = '\0';
        /* Not the verbs, which begin a line. */
        g_assert_cmpuint(add_matches(keys, "[^\\n]\\*([a-z_]+)\\*", section), >, 0);
        return keys;
}

static void test_keys(void)
{
        g_autoptr(GHashTable) sources = keys_of_sources(), manual = keys_of_manual();
        GHashTableIter i;
        gpointer key;

        g_hash_table_iter_init(&i, sources);
        while (g_hash_table_iter_next(&i, &key, NULL))
                if (!g_hash_table_contains(manual, key))
                        g_error("\"%s\" is not in the manual page", (const char *) key);
        g_hash_table_iter_init(&i, manual);
        while (g_hash_table_iter_next(&i, &key, NULL))
                if (!g_hash_table_contains(sources, key) && !verb_find(key))
                        g_error("nothing prints \"%s\", which the manual page has", (const char *) key);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/keys", test_keys);
        return g_test_run();
}
