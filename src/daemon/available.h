/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* How much memory can still be used, bytes. */

/* MemAvailable of @proc_fd/meminfo (proc(5)). 0, -ENODATA, -errno. */
int memory_available(int proc_fd, uint64_t *ret);

/* The least that memory.max leaves over memory.current in @cgroup and its ancestors, below the
 * cgroup v2 mount @cgroup_root_fd; UINT64_MAX without a limit. 0 or -errno. */
int memory_cgroup_available(int cgroup_root_fd, const char *cgroup, uint64_t *ret);

/* Memory that somebody is going to take. */
struct memory_need {
        const char *cgroup; /* NULL: in none */
        uint64_t bytes;
};

/* A cgroup that has less left than all who are in it or below it are going to take. */
struct memory_shortage {
        char *cgroup; /* free() */
        uint64_t needed, left;
};

/* 1 and *@ret if there is one, 0 if all fit in, -errno. Sorts @needs. */
int memory_cgroup_shortage(int cgroup_root_fd, struct memory_need *needs, size_t n,
                           struct memory_shortage *ret);
