/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Puts the working directory before a path that does not begin with a slash. Nothing is looked up. 0 and a
 * new string, or -errno. */
int path_make_absolute(const char *path, char **ret);
