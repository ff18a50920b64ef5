/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "run/refusal.h"
#include "run/layout.h"

/* Layout groups: processes with one layout. A group has a name, and belongs to one user. */

/* Of who is in no systemd unit and names none. */
#define GROUP_DEFAULT "default"

/* The systemd unit that this process is in, from /proc/self/cgroup. A new string, or NULL if it is in
 * none that can be told, or out of memory. */
char *group_own_unit(void);
