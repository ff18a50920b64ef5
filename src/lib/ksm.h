/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/macro.h"

/* The kernel's own samepage merging, Documentation/admin-guide/mm/ksm.rst: its knobs and counters,
 * and how they are put back. Writing `run` waits for ksmd's own lock, which ksmd can hold as long
 * as a target's memory is stuck: only for the worker. */

struct mm_ksm_counters {
        uint64_t full_scans, pages_shared, pages_sharing;
        uint64_t pages_scanned; /* Linux 6.6, else 0 */
        uint64_t zero_pages;    /* ksm_zero_pages, Linux 6.6, else 0 */
        uint64_t max_page_sharing;
        uint64_t sleep_millisecs;
        bool use_zero_pages;
        unsigned run; /* 0 stopped, 1 runs, 2 unmerges */
};

/* @root_fd: a directory like /sys/kernel/mm/ksm. 0 or -ENOENT, -EINVAL. */
int mm_ksm_read(int root_fd, struct mm_ksm_counters *ret);

/* What ksmd is set to while there is work. Negative or NULL: leave alone. */
struct mm_ksm_settings {
        int64_t pages_to_scan, sleep_millisecs;
        int smart_scan, use_zero_pages;
        const char *advisor; /* "none"; under "scan-time" pages_to_scan is the kernel's to choose */
        /* Left alone too while pages are shared: the kernel takes no other value then. */
        int merge_across_nodes;
        int64_t max_page_sharing;
};

/* Drives ksmd. What was there before is written to @state_fd/ksm.state, before anything is changed
 * and synced, so that a later start puts it right after a crash. */
struct mm_ksm_drive;

/* Changes the knobs and starts ksmd. If it runs already, somebody else has set it to his liking:
 * nothing is changed, then or by the stop. Knobs that this kernel does not have are left out.
 * @root_fd and @state_fd are borrowed for the life of the object. -ENOENT without KSM, -EACCES,
 * -EROFS if sysfs is read-only, -EBUSY while run is 2, -EINVAL for a setting that no kernel takes,
 * -EEXIST if a state file is there: mm_ksm_recover() comes first. On failure all is as it was. */
int mm_ksm_drive_start(int root_fd, int state_fd, const struct mm_ksm_settings *settings,
                       struct mm_ksm_drive **ret);

/* Puts every knob back that still has the value we gave it, stops ksmd if it did not run before,
 * removes the state file and frees @d. Merged pages stay merged. A knob that cannot be written is
 * left to mm_ksm_recover(), with the state file; one that the kernel will take once no page is shared
 * is kept there for the next drive too. Takes NULL, returns NULL. */
struct mm_ksm_drive *mm_ksm_drive_stop(struct mm_ksm_drive *d);

/* Puts right what a killed service left: 1 if there was something, 0 if not or if it was only waiting
 * for the kernel to take it, -errno. -EBADMSG: the
 * state file is damaged; it is now ksm.state.damaged, and no knob was touched. Not while another
 * service may be driving: it would be stopped. */
int mm_ksm_recover(int root_fd, int state_fd);

/* One process, from /proc/PID/ksm_stat (Linux 6.1) and ksm_merging_pages. */
struct mm_ksm_process {
        uint64_t rmap_items;    /* pages KSM keeps track of; 64 bytes each (struct ksm_rmap_item) */
        uint64_t merging_pages; /* pages of it that KSM has merged */
        uint64_t zero_pages;    /* Linux 6.6, else 0 */
        int mergeable;          /* 1: some area is registered; 0: none; -1: not said (before Linux 6.16) */
};
/* 0, -ENOENT if the kernel has neither file, -ESRCH. */
int mm_ksm_process_read(int process_fd, struct mm_ksm_process *ret);
