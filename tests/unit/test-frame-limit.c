/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/frame-limit.h"
#include "shared/macro.h"
#include "test-util.h"

#define PARAMETER "module/mergemod/parameters/max_frames"

static void expect(const char *tree, const char *expected)
{
        g_autofree char *path = g_build_filename(tree, PARAMETER, NULL), *text = NULL;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        g_assert_cmpstr(text, ==, expected);
}

static void test_set(void)
{
        char *tree = tree_new();
        _cleanup_(closep) int fd = tree_open(tree);
        struct frame_limit l = {};

        tree_write(tree, PARAMETER, "700\n");
        g_assert_cmpint(frame_limit_set(&l, fd, 0), ==, 0);
        expect(tree, "700\n");
        g_assert_cmpint(frame_limit_set(&l, fd, 5), ==, 0);
        expect(tree, "5");
        g_assert_cmpint(frame_limit_set(&l, fd, 4294967295), ==, 0);
        expect(tree, "4294967295");
        g_assert_cmpint(frame_limit_set(&l, fd, 0), ==, 0);
        expect(tree, "700");

        /* What is there the next time may be another number. */
        tree_write(tree, PARAMETER, "0\n");
        g_assert_cmpint(frame_limit_set(&l, fd, 5), ==, 0);
        expect(tree, "5");
        g_assert_cmpint(frame_limit_set(&l, fd, 0), ==, 0);
        expect(tree, "0");
        tree_free(tree);
}

static void test_refused(void)
{
        char *tree = tree_new();
        _cleanup_(closep) int fd = tree_open(tree);
        struct frame_limit l = {};

        g_assert_cmpint(frame_limit_set(&l, fd, 0), ==, 0);
        g_assert_cmpint(frame_limit_set(&l, fd, 5), ==, -ENOENT);
        tree_write(tree, PARAMETER, "many\n");
        g_assert_cmpint(frame_limit_set(&l, fd, 5), ==, -EINVAL);
        expect(tree, "many\n");
        g_assert_false(l.changed);
        tree_free(tree);

        /* Unloaded while it was set. */
        tree = tree_new();
        tree_write(tree, PARAMETER, "700\n");
        safe_close(fd);
        fd = tree_open(tree);
        g_assert_cmpint(frame_limit_set(&l, fd, 5), ==, 0);
        g_assert_cmpint(unlinkat(fd, PARAMETER, 0), ==, 0);
        g_assert_cmpint(frame_limit_set(&l, fd, 0), ==, 0);
        g_assert_false(l.changed);
        tree_free(tree);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/frame-limit/set", test_set);
        g_test_add_func("/frame-limit/refused", test_refused);
        return g_test_run();
}
