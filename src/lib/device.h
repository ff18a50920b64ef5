/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/mergemod.h>
#include <stddef.h>
#include <sys/types.h>

#include "shared/macro.h"

/* The kernel module mergemod, through its device. An object is one session: the processes attached to
 * it, and what was changed about huge pages there, are known as long as it lives. Calls may wait for
 * locks of the processes: only for the worker, but for opening. */

struct mm_device;

/* What this library cannot do without. */
#define MM_DEVICE_FEATURES \
        (MERGEMOD_FEATURE_ZERO | MERGEMOD_FEATURE_CONTENT | MERGEMOD_FEATURE_SCAN | MERGEMOD_FEATURE_UNMERGE)

/* The kernel keeps a struct frame for each shared frame: that much of its allocator. */
#define MM_DEVICE_FRAME_BYTES 64U

/* Opens @path, MERGEMOD_DEVICE but in tests, and greets the module. 0; -ENOENT, -ENODEV or -ENXIO
 * without it, -EPERM or -EACCES; -EPROTO if its interface is another: @ret_info, which may be NULL, says
 * which then too, or is zero if it is no such device at all. */
int mm_device_open(const char *path, struct mm_device **ret, struct mergemod_info *ret_info);
struct mm_device *mm_device_free(struct mm_device *d);
DEFINE_CLEANUP_FUNC(struct mm_device *, mm_device_free)

/* MERGEMOD_FEATURE_* that there are. */
uint64_t mm_device_features(const struct mm_device *d);

/* The number of a process, attached if it is not yet. @process_fd, its /proc/PID, must have been opened
 * before it was judged: that it still lives tells that the pid is still the same process's, and its
 * memory must be open to us, where the kernel and its security modules check access. 0, -ESRCH, -EACCES,
 * -EPERM, -ENOSPC, -ENOMEM. */
int mm_device_attach(struct mm_device *d, pid_t pid, uint64_t start_ticks, int process_fd, uint32_t *ret);
/* Forgets a process whose memory turned out to be gone: it executed another program. Its number may become
 * another's. */
void mm_device_detach(struct mm_device *d, uint32_t target);
/* The same for all that have ended. */
void mm_device_sweep(struct mm_device *d);

/* Whose pages may meet, and which. */
struct mm_device_domain {
        enum mergemod_domain kind;
        int cgroup_fd;  /* MERGEMOD_DOMAIN_CGROUP: its directory; else -1 */
        bool zero_only; /* pages of zeros */
};

/* Merges groups of pages, at most MERGEMOD_ELEMENTS_MAX; puts them in the order that is fastest. Each
 * gets its status. *@ret has the sums. 0, or -errno if nothing could be tried. */
int mm_device_merge(struct mm_device *d, const struct mm_device_domain *domain, enum mergemod_huge huge,
                    struct mergemod_element *elements, size_t n, struct mergemod_merge *ret);

/* Unmerges ranges, or registers them with KSM and takes them out. Each gets its status and how far it
 * came. 0, or -errno if nothing could be tried. */
int mm_device_unmerge(struct mm_device *d, struct mergemod_range *ranges, size_t n, uint32_t flags);
int mm_device_advise(struct mm_device *d, struct mergemod_range *ranges, size_t n, uint32_t flags);

/* Pages of a target in [*@start, @end) that could be merged, hashed with the kernel's hash: at most @n.
 * @flags: MERGEMOD_SCAN_*. *@start moves to where to go on; *@ret_n: how many were found. */
int mm_device_scan(struct mm_device *d, uint32_t target, uint32_t flags, uint64_t seed, uint64_t *start,
                   uint64_t end, struct mergemod_page *pages, size_t n, size_t *ret_n);

/* All pages that are there, likewise, without hashes. */
int mm_device_pages(struct mm_device *d, uint32_t target, uint32_t flags, uint64_t *start, uint64_t end,
                    struct mergemod_page *pages, size_t n, size_t *ret_n);

/* Hashes the pages at the addresses in @pages, at most MERGEMOD_ELEMENTS_MAX. Each gets its status. */
int mm_device_hash(struct mm_device *d, uint32_t target, uint32_t flags, uint64_t seed,
                   struct mergemod_page *pages, size_t n);

int mm_device_stats(struct mm_device *d, struct mergemod_stats *ret);

/* Why there is no device to work with, in words; NULL for what is no such error. */
const char *mm_device_problem(int error);

/* What the status of an element means, in words for users to read. */
const char *mm_device_status_text(int status);
