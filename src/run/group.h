/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "run/refusal.h"
#include "run/layout.h"

/* Layout groups: processes with one layout. A group has a name, and belongs to one user. */

#define GROUP_NAME_MAX 255U

/* Of who is in no systemd unit and names none. */
#define GROUP_DEFAULT "default"

/* 1 to GROUP_NAME_MAX of A-Z a-z 0-9 : _ . - @ \, which is what names of units are made of. */
bool group_is_valid(const char *name);

/* The systemd unit that this process is in, from /proc/self/cgroup. A new string, or NULL if it is in
 * none that can be told, or out of memory. */
char *group_own_unit(void);
