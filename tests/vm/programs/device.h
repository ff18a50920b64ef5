/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/mergemod.h>
#include <stdint.h>
#include <sys/types.h>

#include "peer.h"

/* A session that is greeted. */
int device_open(void);

/* As the calls: what they return, -errno. */
int device_call(int fd, unsigned long request, void *argument);

/* The process as an active target. */
uint32_t device_attach(int fd, pid_t pid);

/* Elements for @n pages from @address on, each its own group, from @group on. */
void elements_fill(struct mergemod_element *elements, uint32_t target, uintptr_t address, size_t n,
                   uint32_t group);

/* Merges; the fields that are not given are 0. */
int device_merge(int fd, struct mergemod_merge *merge, struct mergemod_element *elements, uint32_t n);

/* How many elements have this status. */
size_t elements_count(const struct mergemod_element *elements, size_t n, int status);

struct mergemod_stats device_stats(int fd);

/* Pages unmerged. */
uint64_t device_unmerge(int fd, uint32_t target, uintptr_t address, size_t n_pages, uint32_t flags);
