/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE 4096UL
#define HUGE_PAGE (512 * PAGE)

/* Anonymous memory without huge pages. */
void *pages_map(size_t n);

/* Fills page by page; the same @seed and page number give the same bytes. Seed 0: zeros. */
void pages_fill(void *address, size_t n, uint64_t seed);
/* Pages that are not as pages_fill() made them. */
size_t pages_wrong(const void *address, size_t n, uint64_t seed);

/* Pages that were just touched wait on a list per CPU; moves them where mergemod takes them from. */
void pages_settle(void);

/* So do pages that are locked, unlocked or freed, and figures; has the kernel deal with all of them. */
void pages_drain(void);

/* Frame numbers of pages of a process, 0 where there is none. */
void pages_frames(pid_t pid, uintptr_t address, uint64_t *frames, size_t n);
/* Of one. */
uint64_t page_frame(pid_t pid, uintptr_t address);
/* Frame number of the kernel's zero page. */
uint64_t zero_frame(void);
/* Pages of [@address, ...) of two processes that are in one frame. */
size_t pages_shared(pid_t a, pid_t b, uintptr_t address, size_t n);
/* Pages that are the kernel's zero page. */
size_t pages_zero(pid_t pid, uintptr_t address, size_t n);

/* A figure from /proc/PID/status, or with @pid 0 from /proc/meminfo, in KiB. */
long kib_of(pid_t pid, const char *name);
/* A figure from /proc/vmstat. */
long vmstat(const char *name);
