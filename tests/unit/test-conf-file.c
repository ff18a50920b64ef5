/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib/gstdio.h>

#include "config.h"
#include "shared/conf-file.h"
#include "test-util.h"

#define ETC MERGEMEM_SYSCONFDIR
#define RUN "/run/mergemem"
#define LOCAL "/usr/local/lib/mergemem"
#define USR MERGEMEM_VENDORDIR
#define D "/mergememd.conf.d/"

/* A root directory of its own, and what was said about it. */
struct fixture {
        char *root;
        int root_fd;
        char *messages;
};

static void set_up(struct fixture *f, const void *data)
{
        f->root = tree_new();
        f->root_fd = tree_open(f->root);
}

static void tear_down(struct fixture *f, const void *data)
{
        safe_close(f->root_fd);
        tree_free(f->root);
        g_free(f->messages);
}

static void put(const struct fixture *f, const char *path, const char *text)
{
        tree_write(f->root, path, text);
}

static void put_link(const struct fixture *f, const char *path, const char *target)
{
        tree_link(f->root, path, target);
}

static int load(struct fixture *f, struct conf *c)
{
        g_autofree char *log = g_build_filename(f->root, "log", NULL);
        int saved = dup(STDERR_FILENO), fd = open(log, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), r;

        g_clear_pointer(&f->messages, g_free);
        g_assert_cmpint(dup2(fd, STDERR_FILENO), ==, STDERR_FILENO);
        r = conf_load(f->root_fd, NULL, c);
        g_assert_cmpint(dup2(saved, STDERR_FILENO), ==, STDERR_FILENO);
        close(saved);
        close(fd);
        g_assert_true(g_file_get_contents(log, &f->messages, NULL, NULL));
        return r;
}

static void expect_pages_to_scan(struct fixture *f, uint64_t expected, const char *file)
{
        _cleanup_(conf_done) struct conf c = {};
        const struct conf_setting *s;

        g_assert_cmpint(load(f, &c), ==, 0);
        g_assert_cmpstr(f->messages, ==, "");
        g_assert_cmpuint(c.ksm_pages_to_scan, ==, expected);
        s = settings_next(&c.settings, "KSM", "PagesToScan", NULL);
        g_assert_cmpstr(s ? s->origin.file : NULL, ==, file);
}

/* Of the main files only the first is read. */
static void test_main(struct fixture *f, const void *data)
{
        expect_pages_to_scan(f, 2000, NULL);
        put(f, USR "/mergememd.conf", "[KSM]\nPagesToScan=4\nSleepMilliSec=4\n");
        expect_pages_to_scan(f, 4, USR "/mergememd.conf");
        put(f, LOCAL "/mergememd.conf", "[KSM]\nPagesToScan=3\n");
        expect_pages_to_scan(f, 3, LOCAL "/mergememd.conf");
        put(f, RUN "/mergememd.conf", "[KSM]\nPagesToScan=2\n");
        expect_pages_to_scan(f, 2, RUN "/mergememd.conf");
        put(f, ETC "/mergememd.conf", "[KSM]\nPagesToScan=1\n");
        expect_pages_to_scan(f, 1, ETC "/mergememd.conf");
}

static void test_main_masked(struct fixture *f, const void *data)
{
        put(f, USR "/mergememd.conf", "[KSM]\nPagesToScan=4\n");
        put_link(f, ETC "/mergememd.conf", "/dev/null");
        expect_pages_to_scan(f, 2000, NULL);
}

/* Drop-ins come after the main file, by name, whatever the directory. */
static void test_order(struct fixture *f, const void *data)
{
        put(f, ETC "/mergememd.conf", "[KSM]\nPagesToScan=1\n");
        put(f, USR D "50-b.conf", "[KSM]\nPagesToScan=5\n");
        expect_pages_to_scan(f, 5, USR D "50-b.conf");
        put(f, ETC D "40-a.conf", "[KSM]\nPagesToScan=6\n");
        expect_pages_to_scan(f, 5, USR D "50-b.conf");
        put(f, LOCAL D "9.conf", "[KSM]\nPagesToScan=7\n");
        expect_pages_to_scan(f, 7, LOCAL D "9.conf");
        put(f, RUN D "a.conf", "[KSM]\nPagesToScan=8\n");
        expect_pages_to_scan(f, 8, RUN D "a.conf");
        /* Not drop-ins. */
        put(f, ETC D "z.conf.bak", "[KSM]\nPagesToScan=9\n");
        put(f, ETC D ".z.conf", "[KSM]\nPagesToScan=9\n");
        put(f, ETC D "z", "[KSM]\nPagesToScan=9\n");
        put(f, ETC D ".conf", "[KSM]\nPagesToScan=9\n");
        expect_pages_to_scan(f, 8, RUN D "a.conf");
}

/* Of drop-ins of one name only one counts. */
static void test_masks(struct fixture *f, const void *data)
{
        put(f, USR D "a.conf", "[KSM]\nPagesToScan=4\nSleepMilliSec=nonsense\n");
        put(f, LOCAL D "a.conf", "[KSM]\nPagesToScan=3\n");
        expect_pages_to_scan(f, 3, LOCAL D "a.conf");
        put(f, RUN D "a.conf", "[KSM]\nPagesToScan=2\n");
        expect_pages_to_scan(f, 2, RUN D "a.conf");
        put(f, ETC D "a.conf", "");
        expect_pages_to_scan(f, 2000, NULL);
        put(f, ETC D "a.conf", "[KSM]\nPagesToScan=1\n");
        expect_pages_to_scan(f, 1, ETC D "a.conf");
        put_link(f, ETC D "b.conf", "/dev/null");
        put(f, USR D "b.conf", "[KSM]\nPagesToScan=5\n");
        expect_pages_to_scan(f, 1, ETC D "a.conf");
}

/* A rule may be spread over files. */
static void test_rules(struct fixture *f, const void *data)
{
        _cleanup_(conf_done) struct conf c = {};

        put(f, USR "/mergememd.conf", "[Rule a]\nMerge=no\nComm=x\n");
        put(f, USR D "10.conf", "[Rule b]\nTrustDomain=system\n");
        put(f, ETC D "20.conf", "[Rule b]\nUnit=x\n[Rule a]\nMerge=\nComm=y\n");
        g_assert_cmpint(load(f, &c), ==, 0);
        g_assert_cmpuint(c.n_rules, ==, 3);
        g_assert_cmpstr(c.rules[1].name, ==, "a");
        g_assert_cmpint(c.rules[1].merge, ==, RULE_MERGE_YES);
        g_assert_cmpuint(c.rules[1].match[RULE_COMM].n, ==, 2);
        g_assert_cmpint(c.rules[2].trust, ==, TRUST_SYSTEM);
        g_assert_cmpstr(c.rules[2].origin.file, ==, USR D "10.conf");
}

static void expect_error(struct fixture *f, int error, const char *message)
{
        _cleanup_(conf_done) struct conf c = {};

        g_assert_cmpint(load(f, &c), ==, error);
        g_assert_nonnull(strstr(f->messages, message));
        g_assert_null(c.rules);
}

static void test_bad(struct fixture *f, const void *data)
{
        put(f, ETC D "a.conf", "[KSM]\nPagesToScan=1\n");
        put(f, ETC D "b.conf", "[KSM]\n\nPagesToScan=lots\n");
        expect_error(f, -EINVAL, ETC D "b.conf:3: PagesToScan=lots: not understood");
        put(f, ETC D "b.conf", "[Rule a]\n");
        expect_error(f, -EINVAL, ETC D "b.conf:1: rule \"a\": nothing says what it is about");
}

static void test_odd(struct fixture *f, const void *data)
{
        _cleanup_(conf_done) struct conf c = {};
        g_autofree char *large = g_strnfill((1 << 20) + 1, '\n');
        g_autofree char *directory = g_strconcat(f->root, ETC D "x.conf", NULL);

        g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
        expect_error(f, -EISDIR, ETC D "x.conf: cannot be read: Is a directory");
        g_assert_cmpint(g_rmdir(directory), ==, 0);
        put(f, ETC D "x.conf", large);
        expect_error(f, -EFBIG, ETC D "x.conf: larger than 1 MiB");
        large[1 << 20] = '\0';
        put(f, ETC D "x.conf", large);
        put_link(f, ETC D "y.conf", "/no/such/file");
        g_assert_cmpint(load(f, &c), ==, 0);
        g_assert_cmpstr(f->messages, ==, ETC D "y.conf: leads nowhere and is ignored\n");
}

static void test_many(struct fixture *f, const void *data)
{
        _cleanup_(conf_done) struct conf c = {};

        for (unsigned i = 0; i < CONF_DROP_INS_MAX; i++) {
                g_autofree char *path = g_strdup_printf(ETC D "%u.conf", i);

                put(f, path, "[KSM]\nPagesToScan=1\n");
        }
        put(f, USR D "0.conf", "");
        g_assert_cmpint(load(f, &c), ==, 0);
        put(f, USR D "more.conf", "");
        expect_error(f, -E2BIG, "more than 256 drop-ins");
}

/* --config= */
static void test_one_file(struct fixture *f, const void *data)
{
        g_autofree char *path = g_build_filename(f->root, "my.conf", NULL);
        _cleanup_(conf_done) struct conf c = {}, masked = {};
        int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        g_assert_cmpint(dup2(null, STDERR_FILENO), ==, STDERR_FILENO);
        g_assert_cmpint(conf_load_file(path, NULL, &c), ==, -ENOENT);
        put(f, "/my.conf.d/a.conf", "[KSM]\nPagesToScan=2\n");
        g_assert_cmpint(conf_load_file(path, NULL, &c), ==, -ENOENT);
        put(f, "/my.conf", "[KSM]\nPagesToScan=1\nSleepMilliSec=7\n");
        put(f, ETC D "a.conf", "[KSM]\nPagesToScan=3\n");
        g_assert_cmpint(conf_load_file(path, NULL, &c), ==, 0);
        g_assert_cmpuint(c.ksm_pages_to_scan, ==, 2);
        g_assert_cmpuint(c.ksm_sleep_millisecs, ==, 7);
        g_assert_cmpint(conf_load_file("/dev/null", NULL, &masked), ==, 0);
        g_assert_cmpuint(masked.ksm_pages_to_scan, ==, 2000);
        conf_done(&masked);
        g_assert_cmpint(conf_load_file("/dev/zero", NULL, &masked), ==, -EFBIG);
        g_assert_cmpint(dup2(saved, STDERR_FILENO), ==, STDERR_FILENO);
        close(saved);
        close(null);
}

/* What the configuration would be. */
static void test_overlay(struct fixture *f, const void *data)
{
        g_autofree char *path = conf_rule_path(NULL, "a");
        struct conf_overlay overlay = { .path = path, .text = "[Rule a]\nComm=new\n" };
        _cleanup_(conf_done) struct conf added = {}, replaced = {}, removed = {};

        g_assert_cmpstr(path, ==, ETC D "50-rule-a.conf");
        g_assert_cmpint(conf_load(f->root_fd, &overlay, &added), ==, 0);
        g_assert_cmpuint(added.n_rules, ==, 2);
        g_assert_cmpstr(added.rules[1].origin.file, ==, path);

        put(f, ETC D "50-rule-a.conf", "[Rule a]\nComm=old\n[KSM]\nPagesToScan=lots\n");
        put(f, USR D "50-rule-a.conf", "nonsense\n");
        put(f, ETC D "60.conf", "[Rule a]\nComm=more\n");
        g_assert_cmpint(conf_load(f->root_fd, &overlay, &replaced), ==, 0);
        g_assert_cmpuint(replaced.n_rules, ==, 2);
        g_assert_cmpuint(replaced.rules[1].match[RULE_COMM].n, ==, 2);
        g_assert_cmpstr(replaced.rules[1].match[RULE_COMM].items[0], ==, "new");

        put(f, USR D "50-rule-a.conf", "[Rule b]\nComm=masked\n");
        overlay.text = NULL;
        g_assert_cmpint(conf_load(f->root_fd, &overlay, &removed), ==, 0);
        g_assert_cmpuint(removed.n_rules, ==, 3);
        g_assert_cmpstr(removed.rules[1].name, ==, "b");
        g_assert_cmpuint(removed.rules[2].match[RULE_COMM].n, ==, 1);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*test)(struct fixture *f, const void *data);
        } tests[] = {
                { "/conf-file/main", test_main },
                { "/conf-file/main-masked", test_main_masked },
                { "/conf-file/order", test_order },
                { "/conf-file/masks", test_masks },
                { "/conf-file/rules", test_rules },
                { "/conf-file/bad", test_bad },
                { "/conf-file/odd", test_odd },
                { "/conf-file/many", test_many },
                { "/conf-file/one-file", test_one_file },
                { "/conf-file/overlay", test_overlay },
        };

        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < ELEMENTSOF(tests); i++)
                g_test_add(tests[i].name, struct fixture, NULL, set_up, tests[i].test, tear_down);
        return g_test_run();
}
