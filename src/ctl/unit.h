/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared/macro.h"
#include "shared/setting.h"

/* A unit of the system manager as its files say, systemd.unit(5): of a system that runs or of one that does
 * not, and word for word, which is what the manager does not give away of it. */

/* A file system that is or will be "/" of a system. Paths in it are absolute, and so are its links. */
struct unit_root {
        const char *path; /* borrowed; "" for the running system */
        int fd;
};

struct unit {
        char *name; /* not an alias; "NAME@.service" of a template */
        char **files; /* that were read: the unit's own first, then drop-ins in their order */
        size_t n_files;
        struct settings settings; /* assignments in the order in which they take effect */
};

/* 0; -errno, logged. *@ret wants unit_root_done(). */
int unit_root_open(const char *path, struct unit_root *ret);
void unit_root_done(struct unit_root *root);

/* open(2) below the root. */
int unit_root_open_file(const struct unit_root *root, const char *path, int flags);

/* "NAME.service", whose parts are what units are called by. */
bool unit_name_is_service(const char *name);
/* "NAME@.service" */
bool unit_name_is_template(const char *name);

/* Reads the service @name, drop-ins called @ignored left out. 0; -ENOENT: no such unit; -ESTALE: it is
 * masked; -EFBIG: a file above 1 MiB; -E2BIG, -errno. All logged. */
int unit_read(const struct unit_root *root, const char *name, const char *ignored, struct unit *ret);
void unit_done(struct unit *u);

/* Whether the setting is from a drop-in that is read after one called @name would be. */
bool unit_setting_is_after(const struct unit *u, const struct conf_setting *s, const char *name);

/* The value of the last assignment to a key that takes one; "" if there is none. */
const char *unit_get(const struct unit *u, const char *section, const char *key);

/* unit-text.c: adds the assignments in @text, of the file @file, which outlives @s; systemd.syntax(7). What
 * systemd passes over is passed over. 0; -E2BIG, -ENOMEM. */
int unit_parse(const char *file, const char *text, size_t size, struct settings *s);

/* unit-find.c: paths of the unit's own file and of its drop-ins, in the order in which they are read. 0 and
 * what unit_paths_done() frees; -ENOENT; -ESTALE: masked; -errno. */
struct unit_paths {
        char *name; /* not an alias */
        char **items;
        size_t n;
};
int unit_find(const struct unit_root *root, const char *name, const char *ignored, struct unit_paths *ret);
void unit_paths_done(struct unit_paths *p);
