/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/secret.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <sys/stat.h>

#include "test-util.h"

/* Secrets that are kept in files. */

static char *tree;

static void before(void)
{
        tree = tree_new();
        g_assert_cmpint(chmod(tree, 0700), ==, 0);
}

static void after(void)
{
        tree_free(tree);
}

static int get(const char *group, struct secret *ret, struct refusal *f)
{
        memset(ret, 0, sizeof(*ret));
        return secret_from_directory(tree, geteuid(), group, ret, f);
}

static void assert_refused(const char *group, const char *why)
{
        struct secret s;
        struct refusal f = { "" };

        g_assert_cmpint(get(group, &s, &f), <, 0);
        if (!strstr(f.text, why))
                g_error("'%s' does not say '%s'", f.text, why);
}

static mode_t mode_of(const char *path)
{
        g_autofree char *full = g_build_filename(tree, path, NULL);
        struct stat st;

        g_assert_cmpint(lstat(full, &st), ==, 0);
        return st.st_mode & 07777;
}

static void change_mode(const char *path, mode_t mode)
{
        g_autofree char *full = g_build_filename(tree, path, NULL);

        g_assert_cmpint(chmod(full, mode), ==, 0);
}

static void remove_file(const char *path)
{
        g_autofree char *full = g_build_filename(tree, path, NULL);

        g_assert_cmpint(unlink(full), ==, 0);
}

static unsigned count_files(void)
{
        g_autofree char *full = g_build_filename(tree, "mergemem/groups", NULL);
        GDir *dir = g_dir_open(full, 0, NULL);
        unsigned n = 0;

        g_assert_nonnull(dir);
        while (g_dir_read_name(dir))
                n++;
        g_dir_close(dir);
        return n;
}

static void test_drawn_once(void)
{
        static const uint8_t zeros[LAYOUT_SECRET_BYTES];
        struct secret a, b, c;
        struct refusal f;

        before();
        g_assert_cmpint(get("web.service", &a, &f), ==, 0);
        g_assert_cmpint(get("web.service", &b, &f), ==, 0);
        g_assert_cmpint(get("other.service", &c, &f), ==, 0);
        g_assert_cmpmem(a.bytes, sizeof(a.bytes), b.bytes, sizeof(b.bytes));
        g_assert_cmpint(memcmp(a.bytes, c.bytes, sizeof(a.bytes)), !=, 0);
        g_assert_cmpint(memcmp(a.bytes, zeros, sizeof(a.bytes)), !=, 0);
        g_assert_cmpstr(a.group, ==, "web.service");
        g_assert_true(g_str_has_prefix(a.where, tree));

        g_assert_cmpuint(count_files(), ==, 2);
        g_assert_cmpuint(mode_of("mergemem"), ==, 0700);
        g_assert_cmpuint(mode_of("mergemem/groups"), ==, 0700);
        g_assert_cmpuint(mode_of("mergemem/groups/web.service"), ==, 0600);

        /* Somebody rotates it. */
        remove_file("mergemem/groups/web.service");
        g_assert_cmpint(get("web.service", &b, &f), ==, 0);
        g_assert_cmpint(memcmp(a.bytes, b.bytes, sizeof(a.bytes)), !=, 0);
        after();
}

static void test_names(void)
{
        static const char *const names[] = { ".", "..", "-", "a", "\\x2e", "...", ".hidden" };
        g_autofree char *longest = g_strnfill(LAYOUT_NAME_MAX, 'n');
        struct secret secrets[G_N_ELEMENTS(names)], s;
        struct refusal f;

        before();
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                g_assert_true(layout_name_is_valid(names[i]));
                g_assert_cmpint(get(names[i], &secrets[i], &f), ==, 0);
                for (size_t k = 0; k < i; k++)
                        g_assert_cmpint(memcmp(secrets[i].bytes, secrets[k].bytes, LAYOUT_SECRET_BYTES), !=,
                                        0);
        }
        g_assert_true(layout_name_is_valid(longest));
        g_assert_cmpint(get(longest, &s, &f), ==, 0);
        g_assert_cmpstr(s.group, ==, longest);
        g_assert_cmpuint(count_files(), ==, G_N_ELEMENTS(names) + 1);
        after();
}

/* Whoever comes first, all have the same. */
static void *draw(void *userdata)
{
        struct refusal f;

        g_assert_cmpint(get("race", userdata, &f), ==, 0);
        return NULL;
}

static void test_race(void)
{
        for (unsigned round = 0; round < 50; round++) {
                struct secret secrets[8];
                pthread_t threads[8];

                before();
                for (size_t i = 0; i < 8; i++)
                        g_assert_cmpint(pthread_create(&threads[i], NULL, draw, &secrets[i]), ==, 0);
                for (size_t i = 0; i < 8; i++)
                        pthread_join(threads[i], NULL);
                for (size_t i = 1; i < 8; i++)
                        g_assert_cmpmem(secrets[0].bytes, LAYOUT_SECRET_BYTES, secrets[i].bytes,
                                        LAYOUT_SECRET_BYTES);
                g_assert_cmpuint(count_files(), ==, 1);
                after();
        }
}

static void test_damaged(void)
{
        struct secret s;
        struct refusal f;

        before();
        g_assert_cmpint(get("g", &s, &f), ==, 0);
        tree_write(tree, "mergemem/groups/g", "too short");
        change_mode("mergemem/groups/g", 0600);
        assert_refused("g", "damaged");
        tree_write(tree, "mergemem/groups/g", "longer than the thirty-two bytes that it has to be");
        change_mode("mergemem/groups/g", 0600);
        assert_refused("g", "damaged");
        after();
}

static void test_open_to_others(void)
{
        struct secret s;
        struct refusal f;

        before();
        g_assert_cmpint(get("g", &s, &f), ==, 0);
        change_mode("mergemem/groups/g", 0640);
        assert_refused("g", "other users");
        change_mode("mergemem/groups/g", 0600);
        g_assert_cmpint(get("g", &s, &f), ==, 0);
        change_mode("mergemem/groups", 0750);
        assert_refused("g", "other users");
        change_mode("mergemem/groups", 0700);
        change_mode("mergemem", 0720);
        assert_refused("g", "other users");
        change_mode("mergemem", 0755);
        g_assert_cmpint(get("g", &s, &f), ==, 0);
        change_mode("", 0770);
        assert_refused("g", "other users");
        change_mode("", 0700);
        after();
}

static void test_links(void)
{
        struct secret s;
        struct refusal f;
        g_autofree char *fifo = NULL;

        before();
        g_assert_cmpint(get("g", &s, &f), ==, 0);
        tree_link(tree, "mergemem/groups/link", "g");
        assert_refused("link", "cannot read");
        fifo = g_build_filename(tree, "mergemem/groups/fifo", NULL);
        g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
        assert_refused("fifo", "other users");
        after();

        before();
        tree_write(tree, "elsewhere/file", "");
        tree_link(tree, "mergemem", "elsewhere");
        assert_refused("g", "cannot open");
        after();
}

static void test_foreign(void)
{
        struct secret s;
        struct refusal f = { "" };

        before();
        g_assert_cmpint(get("g", &s, &f), ==, 0);
        g_assert_cmpint(secret_from_directory(tree, geteuid() + 1, "g", &s, &f), <, 0);
        after();
        g_assert_cmpint(secret_from_directory("/nowhere/at/all", geteuid(), "g", &s, &f), ==, -ENOENT);
        g_assert_nonnull(strstr(f.text, "/nowhere/at/all"));
}

static void test_full(void)
{
        struct secret s;
        struct refusal f = { "" };

        /* No directory can be made in a file system that has none. */
        g_assert_cmpint(secret_from_directory("/proc/self", geteuid(), "g", &s, &f), <, 0);
        g_assert_cmpstr(f.text, !=, "");
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/run-secret/drawn-once", test_drawn_once);
        g_test_add_func("/run-secret/names", test_names);
        g_test_add_func("/run-secret/race", test_race);
        g_test_add_func("/run-secret/damaged", test_damaged);
        g_test_add_func("/run-secret/open-to-others", test_open_to_others);
        g_test_add_func("/run-secret/links", test_links);
        g_test_add_func("/run-secret/foreign", test_foreign);
        g_test_add_func("/run-secret/full", test_full);
        return g_test_run();
}
