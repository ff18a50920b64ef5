/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Trees of plain files in place of sysfs. Assertions fail where something does. */

struct file {
        const char *name, *text;
};

/* One file, or all up to one without a name. */
void put(const char *dir, const char *name, const char *text);
void put_all(const char *dir, const struct file *files);

/* That it says @value, but for white space at its end; NULL: that there is no such file. */
void expect(const char *dir, const char *name, const char *value);

int open_dir(const char *path);
void remove_dir(const char *path);

/* What Linux 6.18 has besides; it ends in one without a name. */
extern const struct file new_ksm[];

/* The files of KSM, of Linux 6.1 or, if they are new, 6.18; and a directory for what is to be put back. */
struct tree {
        char *root, *state;
        int root_fd, state_fd;
};
void tree_init(struct tree *t, bool is_new);
void tree_done(struct tree *t);
/* That it is as it was made, with new ones. */
void expect_untouched(const struct tree *t);
