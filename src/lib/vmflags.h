/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What madvise(2), mlock(2) and drivers have said about areas, and whether they have huge pages and pages of
 * KSM's: VmFlags, AnonHugePages and KSM of /proc/PID/smaps (Documentation/filesystems/proc.rst). */

enum {
        MM_VM_MERGEABLE = 1 << 0,    /* mg: registered with KSM */
        MM_VM_DONTDUMP = 1 << 1,     /* dd: how libraries mark secrets */
        MM_VM_WIPEONFORK = 1 << 2,   /* wf */
        MM_VM_LOCKED = 1 << 3,       /* lo: mlock(2), memfd_secret(2) */
        MM_VM_USERFAULTFD = 1 << 4,  /* um, uw, ui: faults go to another program */
        MM_VM_IO = 1 << 5,           /* io, pf, mm: memory of a device */
        MM_VM_HUGETLB = 1 << 6,      /* ht */
        MM_VM_SHADOW_STACK = 1 << 7, /* ss */
        MM_VM_NOHUGEPAGE = 1 << 8,   /* nh: gets no huge pages */
        MM_VM_HAS_HUGE = 1 << 9,     /* has some */
        MM_VM_HAS_KSM = 1 << 10,     /* has pages of KSM's; not told before Linux 6.6 */
};

/* Areas with these are not for looking at unless a rule names the process. */
#define MM_VM_PRIVATE (MM_VM_DONTDUMP | MM_VM_WIPEONFORK | MM_VM_LOCKED | MM_VM_USERFAULTFD)
/* Areas with these cannot be merged by anybody. */
#define MM_VM_SPECIAL (MM_VM_IO | MM_VM_HUGETLB | MM_VM_SHADOW_STACK)

struct mm_vmflags {
        uint64_t start, end;
        uint32_t flags; /* MM_VM_* */
};

/* Of all areas of the process whose /proc/PID is @process_fd, ascending. Walks its page tables and
 * takes mmap_lock: only for the worker. 0 and a new array, -ESRCH when the memory is gone, -EACCES,
 * -EINVAL, -ENOMEM. */
int mm_vmflags_read(int process_fd, struct mm_vmflags **ret, size_t *ret_n);

/* The flags of all areas that [@start, @end) touches, or'ed. */
uint32_t mm_vmflags_of(const struct mm_vmflags *v, size_t n, uint64_t start, uint64_t end);

/* The text of smaps, as far as it is needed. */
int mm_vmflags_parse(const char *text, size_t size, struct mm_vmflags **ret, size_t *ret_n);
