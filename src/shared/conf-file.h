/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared/conf.h"

/* Where the configuration lies, as mergememd.conf(5) says: the main file that is found first, then the
 * drop-ins of all directories, sorted by name. */

#define CONF_DROP_INS_MAX 256U

/* A drop-in as if it had this text; NULL: as if it were not there. */
struct conf_overlay {
        const char *path;
        const char *text;
};

/* Reads all of it below @root_fd, a directory like "/", over the defaults into *@ret, which stays
 * untouched on failure. @overlay may be NULL. What is wrong has been logged. 0, -EINVAL, -E2BIG, -EFBIG
 * for a file above 1 MiB, -errno. */
int conf_load(int root_fd, const struct conf_overlay *overlay, struct conf *ret);

/* The same for the file at @path, which must exist, and the drop-ins in the directory @path.d. */
int conf_load_file(const char *path, const struct conf_overlay *overlay, struct conf *ret);

/* The drop-in for the rule @name; @main_path: as for conf_load_file(), NULL for conf_load(). A new string,
 * NULL if there is no memory. */
char *conf_rule_path(const char *main_path, const char *name);
