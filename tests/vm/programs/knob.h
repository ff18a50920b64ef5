/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* Settings and figures of the kernel that are files. */

/* 0 or -errno. */
int knob_try(const char *path, const char *value);
void knob_set(const char *path, const char *value);
void knob_set_number(const char *path, long value);
long knob_get(const char *path);

/* A cgroup of a test, with control of memory. */
#define CGROUP "/sys/fs/cgroup/memory-test"

void cgroup_make(void);
/* 0 for this process. */
void cgroup_put(pid_t pid);
/* A figure from its memory.events. */
long cgroup_events(const char *name);
/* This process leaves it, the others have to be gone. */
void cgroup_remove(void);
