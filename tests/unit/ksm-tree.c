/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ksm-tree.h"

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>

#include "shared/macro.h"

/* Linux 6.1. */
static const struct file old_ksm[] = {
        { "full_scans", "12\n" },     { "max_page_sharing", "256\n" }, { "pages_shared", "3\n" },
        { "pages_sharing", "40\n" },  { "pages_to_scan", "100\n" },    { "pages_unshared", "500\n" },
        { "pages_volatile", "60\n" }, { "run", "0\n" },                { "sleep_millisecs", "20\n" },
        { "use_zero_pages", "1\n" },  {},
};

const struct file new_ksm[] = {
        { "advisor_mode", "[none] scan-time\n" },
        { "ksm_zero_pages", "7\n" },
        { "pages_scanned", "123456789012\n" },
        { "smart_scan", "1\n" },
        { "use_zero_pages", "0\n" },
        {},
};

void put(const char *dir, const char *name, const char *text)
{
        g_autofree char *path = g_build_filename(dir, name, NULL);

        g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

void put_all(const char *dir, const struct file *files)
{
        for (; files->name; files++)
                put(dir, files->name, files->text);
}

static char *get(const char *dir, const char *name)
{
        g_autofree char *path = g_build_filename(dir, name, NULL);
        char *text = NULL;

        if (g_file_get_contents(path, &text, NULL, NULL))
                g_strchomp(text);
        return text;
}

void expect(const char *dir, const char *name, const char *value)
{
        g_autofree char *text = get(dir, name);

        g_assert_cmpstr(text, ==, value);
}

int open_dir(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        g_assert_cmpint(fd, >=, 0);
        return fd;
}

void tree_init(struct tree *t, bool is_new)
{
        t->root = g_dir_make_tmp("mergemem-ksm-XXXXXX", NULL);
        t->state = g_dir_make_tmp("mergemem-state-XXXXXX", NULL);
        put_all(t->root, old_ksm);
        if (is_new)
                put_all(t->root, new_ksm);
        t->root_fd = open_dir(t->root);
        t->state_fd = open_dir(t->state);
}

void remove_dir(const char *path)
{
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *name;

        while ((name = g_dir_read_name(dir))) {
                g_autofree char *child = g_build_filename(path, name, NULL);

                g_assert_cmpint(g_remove(child), ==, 0);
        }
        g_assert_cmpint(g_rmdir(path), ==, 0);
}

void tree_done(struct tree *t)
{
        safe_close(t->root_fd);
        safe_close(t->state_fd);
        remove_dir(t->root);
        remove_dir(t->state);
        g_free(t->root);
        g_free(t->state);
}

void expect_untouched(const struct tree *t)
{
        expect(t->root, "advisor_mode", "[none] scan-time");
        expect(t->root, "pages_to_scan", "100");
        expect(t->root, "sleep_millisecs", "20");
        expect(t->root, "smart_scan", "1");
        expect(t->root, "use_zero_pages", "0");
        expect(t->root, "run", "0");
        expect(t->state, "ksm.state", NULL);
}
