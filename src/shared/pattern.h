/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Names that users write in several ways. All: a new string, NULL if there is no memory. */

/* "/sys/fs/cgroup/a/b/" and "/a/b" are the same. */
char *canonical_cgroup(const char *text);

/* What has no suffix of a unit that holds processes is a service, dots or not, as for systemctl(1). */
char *canonical_unit(const char *text);

/* Whether @s has characters that fnmatch(3) takes for more than themselves. */
bool pattern_is_glob(const char *s);

/* Whether all of it is wildcards and slashes, so that it names nobody in particular. */
bool pattern_is_anything(const char *s);
