/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* How much memory can still be used, bytes. */

/* MemAvailable of @proc_fd/meminfo (proc(5)). 0, -ENODATA, -errno. */
int memory_available(int proc_fd, uint64_t *ret);

/* The least that memory.max leaves over memory.current in @cgroup and its ancestors, below the
 * cgroup v2 mount @cgroup_root_fd; UINT64_MAX without a limit. 0 or -errno. */
int memory_cgroup_available(int cgroup_root_fd, const char *cgroup, uint64_t *ret);
