/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What KSM says of itself and of processes, on plain files in place of sysfs and /proc/PID. */
#include <glib.h>

#include "ksm-tree.h"
#include "lib/ksm.h"

static void test_counters(void)
{
        struct mm_ksm_counters c = { .run = 77 };
        struct tree t;

        tree_init(&t, false);
        g_assert_cmpint(mm_ksm_read(t.root_fd, &c), ==, 0);
        g_assert_cmpuint(c.run, ==, 0);
        g_assert_cmpuint(c.full_scans, ==, 12);
        g_assert_cmpuint(c.pages_shared, ==, 3);
        g_assert_cmpuint(c.pages_sharing, ==, 40);
        g_assert_cmpuint(c.max_page_sharing, ==, 256);
        g_assert_cmpuint(c.pages_scanned, ==, 0);
        g_assert_cmpuint(c.zero_pages, ==, 0);
        g_assert_true(c.use_zero_pages);

        put_all(t.root, new_ksm);
        put(t.root, "run", "1\n");
        g_assert_cmpint(mm_ksm_read(t.root_fd, &c), ==, 0);
        g_assert_cmpuint(c.run, ==, 1);
        g_assert_cmpuint(c.pages_scanned, ==, 123456789012);
        g_assert_cmpuint(c.zero_pages, ==, 7);
        g_assert_false(c.use_zero_pages);

        put(t.root, "ksm_zero_pages", "-1\n");
        g_assert_cmpint(mm_ksm_read(t.root_fd, &c), ==, 0);
        g_assert_cmpuint(c.zero_pages, ==, 0);

        c.pages_shared = 99;
        put(t.root, "pages_shared", "many\n");
        g_assert_cmpint(mm_ksm_read(t.root_fd, &c), ==, -EINVAL);
        put(t.root, "pages_shared", "");
        g_assert_cmpint(mm_ksm_read(t.root_fd, &c), ==, -EINVAL);
        g_assert_cmpuint(c.pages_shared, ==, 99);
        tree_done(&t);
}

static void test_counters_absent(void)
{
        g_autofree char *dir = g_dir_make_tmp("mergemem-ksm-XXXXXX", NULL);
        struct mm_ksm_counters c;
        int fd = open_dir(dir);

        g_assert_cmpint(mm_ksm_read(fd, &c), ==, -ENOENT);
        safe_close(fd);
        remove_dir(dir);
}

static int read_process(const struct file *files, struct mm_ksm_process *ret)
{
        g_autofree char *dir = g_dir_make_tmp("mergemem-proc-XXXXXX", NULL);
        int fd, r;

        put_all(dir, files);
        fd = open_dir(dir);
        r = mm_ksm_process_read(fd, ret);
        safe_close(fd);
        remove_dir(dir);
        return r;
}

static void test_process(void)
{
        static const struct file linux_6_1[] = {
                { "stat", "" }, { "ksm_stat", "ksm_rmap_items 5\n" }, { "ksm_merging_pages", "4\n" }, {},
        };
        static const struct file linux_6_8[] = {
                { "stat", "" },
                { "ksm_stat", "ksm_rmap_items 300\nksm_zero_pages -1\nksm_merging_pages 200\n"
                              "ksm_process_profit 800000\n" },
                { "ksm_merging_pages", "200\n" },
                {},
        };
        static const struct file linux_6_18[] = {
                { "stat", "" },
                { "ksm_stat", "ksm_rmap_items 300\nksm_zero_pages 10\nksm_merging_pages 200\n"
                              "ksm_process_profit -5\nksm_merge_any: no\nksm_mergeable: yes\n" },
                {},
        };
        static const struct file merging_pages_only[] = {
                { "stat", "" }, { "ksm_merging_pages", "4\n" }, {},
        };
        static const struct file neither[] = { { "stat", "" }, {} };
        static const struct file gone[] = { {} };
        static const struct file kernel_thread[] = {
                { "stat", "" }, { "ksm_stat", "" }, { "ksm_merging_pages", "" }, {},
        };
        struct mm_ksm_process p = { .rmap_items = 99 };

        g_assert_cmpint(read_process(linux_6_1, &p), ==, 0);
        g_assert_cmpuint(p.rmap_items, ==, 5);
        g_assert_cmpuint(p.merging_pages, ==, 4);
        g_assert_cmpuint(p.zero_pages, ==, 0);
        g_assert_cmpint(p.mergeable, ==, -1);

        g_assert_cmpint(read_process(linux_6_8, &p), ==, 0);
        g_assert_cmpuint(p.rmap_items, ==, 300);
        g_assert_cmpuint(p.merging_pages, ==, 200);
        g_assert_cmpuint(p.zero_pages, ==, 0);
        g_assert_cmpint(p.mergeable, ==, -1);

        g_assert_cmpint(read_process(linux_6_18, &p), ==, 0);
        g_assert_cmpuint(p.zero_pages, ==, 10);
        g_assert_cmpint(p.mergeable, ==, 1);

        g_assert_cmpint(read_process(neither, &p), ==, -ENOENT);
        g_assert_cmpint(read_process(gone, &p), ==, -ESRCH);
        g_assert_cmpuint(p.rmap_items, ==, 300);

        g_assert_cmpint(read_process(merging_pages_only, &p), ==, 0);
        g_assert_cmpuint(p.rmap_items, ==, 0);
        g_assert_cmpuint(p.merging_pages, ==, 4);
        g_assert_cmpint(read_process(kernel_thread, &p), ==, 0);
        g_assert_cmpuint(p.merging_pages, ==, 0);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ksm/counters", test_counters);
        g_test_add_func("/ksm/counters/absent", test_counters_absent);
        g_test_add_func("/ksm/process", test_process);
        return g_test_run();
}
