/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR LGPL-2.1-or-later */
/*
 * /dev/mergemod: merges equal private pages of running processes, at once.
 *
 * A page is merged by letting a process's page table point to a shared frame that
 * holds the same bytes; the first write gives the process a page of its own again.
 * Nothing that a caller says is trusted for that: the module takes the page away
 * from everybody, compares all its bytes, and only then replaces it. Addresses,
 * groups and hashes are hints. A wrong one costs a merge and never a byte.
 *
 * The calls
 *
 * Opening the device takes CAP_SYS_ADMIN and CAP_SYS_PTRACE in the initial user
 * namespace. One open file is one session; its calls run one after the other.
 * What a session attached is forgotten when it is closed. What was merged stays
 * merged, also when the module is unloaded.
 *
 * MERGEMOD_INFO comes first: the caller says which interface and which features it
 * was built for. Before that every other call fails with EPROTO.
 *
 * A process is taken in two steps, since a pid may be used again by somebody else.
 * MERGEMOD_ATTACH binds a number of this session to whoever has the pid. The caller
 * then looks at a pidfd that it opened before it judged the process: if that lives,
 * the pid was not reused, and MERGEMOD_ACTIVATE makes the target usable. The kernel's
 * own permission check (ptrace, security modules) happens where the caller opens
 * /proc/PID/mem; do that before activating. A target ends with the memory it was
 * attached with: after exit or exec all calls for it say ESRCH.
 *
 * MERGEMOD_PAGES lists the pages that are present, MERGEMOD_HASH hashes the pages at
 * given addresses, MERGEMOD_SCAN does both in one pass and leaves out what cannot be
 * merged. None of them touches, pins or un-shares a page.
 *
 * MERGEMOD_MERGE takes pages in groups that the caller believes to be equal. Pages of
 * zeros become the kernel's zero page; others share a frame of their group. It works
 * fastest when the elements are sorted by target, then address. MERGEMOD_UNMERGE
 * gives the pages in ranges frames of their own again. MERGEMOD_ADVISE registers
 * areas with the kernel's KSM or takes them out. MERGEMOD_STATS has the counters,
 * which are in /sys/class/misc/mergemod/ too.
 *
 * Trust domains
 *
 * Whoever writes to a shared page can notice by the delay, or read in his own
 * pagemap, that somebody has the same bytes. So a frame belongs to one domain. The
 * module derives it anew at every call from credentials and namespaces of the target
 * itself (enum mergemod_domain). The caller can narrow it by a number of his own.
 * Pages of zeros need no domain.
 *
 * Arrays, statuses, progress
 *
 * Calls that take arrays answer with a status per element: 0 or a negative errno,
 * listed at each call. The call itself fails only if nothing was done. It returns 0
 * and the number of elements dealt with in `done` when a signal arrives; go on from
 * there. Elements that were not reached keep their status.
 *
 * Errors of all calls
 *
 *   EPROTO        MERGEMOD_INFO was not called, or asked for what is not there
 *   EINVAL        unknown flags, a reserved field that is not zero, an impossible value
 *   EFAULT        memory of the caller that cannot be read or written
 *   ENOTTY        no such call
 *   ENOENT        no such target in this session
 *   ENOTCONN      the target is not active yet
 *   ESRCH         the target's memory is gone
 *   EINTR         a signal came before anything was done
 *   ENOMEM        no memory for the module's own bookkeeping
 *
 * Types have the same size and layout in 32-bit callers. New fields take the place of
 * reserved ones, announced by a feature bit; a layout never changes.
 *
 * Changes
 *   1  the first interface
 *   1, MERGEMOD_FEATURE_HASHES: HASH takes MERGEMOD_SCAN_SAMPLE; HASH and SCAN take
 *      MERGEMOD_SCAN_ADDROTHALF and MERGEMOD_SCAN_CONST; PAGES, HASH and SCAN take
 *      MERGEMOD_SCAN_COUNT
 */
#ifndef _UAPI_LINUX_MERGEMOD_H
#define _UAPI_LINUX_MERGEMOD_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MERGEMOD_DEVICE "/dev/mergemod"
#define MERGEMOD_VERSION 1

/* Elements, ranges and pages in one call: at most so many. */
#define MERGEMOD_ELEMENTS_MAX 65536

/* Features. */
#define MERGEMOD_FEATURE_ZERO		(1ULL << 0)	/* pages of zeros */
#define MERGEMOD_FEATURE_CONTENT	(1ULL << 1)	/* shared frames */
#define MERGEMOD_FEATURE_SCAN		(1ULL << 2)	/* PAGES, HASH, SCAN */
#define MERGEMOD_FEATURE_UNMERGE	(1ULL << 3)
#define MERGEMOD_FEATURE_ADVISE		(1ULL << 4)	/* the kernel has KSM */
#define MERGEMOD_FEATURE_CGROUP		(1ULL << 5)	/* MERGEMOD_DOMAIN_CGROUP */
#define MERGEMOD_FEATURE_ACCOUNT	(1ULL << 6)	/* frames are charged to memory cgroups */
#define MERGEMOD_FEATURE_SAMPLE		(1ULL << 7)	/* MERGEMOD_SCAN_SAMPLE of SCAN */
#define MERGEMOD_FEATURE_HASHES		(1ULL << 8)	/* all hashes, of HASH and SCAN; COUNT */

/**
 * struct mergemod_info - the handshake
 * @version: in: the interface the caller was built for; out: the module's
 * @flags: 0
 * @features: in: those the caller cannot do without; out: those there are
 * @page_size: out: bytes
 * @elements_max: out: MERGEMOD_ELEMENTS_MAX of the module
 * @frames_max: out: at most so many shared frames
 * @frames: out: shared frames now
 * @reserved: 0
 *
 * EPROTO: the versions differ or a feature is missing. The answer is filled in then too.
 */
struct mergemod_info {
	__u32 version;
	__u32 flags;
	__u64 features;
	__u32 page_size;
	__u32 elements_max;
	__u64 frames_max;
	__u64 frames;
	__u64 reserved[3];
};

/**
 * struct mergemod_attach - a process becomes a target
 * @pid: in: of the process, as the caller's pid namespace counts
 * @flags: 0
 * @target: out: its number in this session, from 1
 * @reserved: 0
 *
 * ESRCH: no such process, or it has no memory of its own (kernel threads, zombies,
 * children of vfork()). EPERM: the
 * first process of the system. EINVAL: the id of a thread. ENOSPC: too many targets.
 */
struct mergemod_attach {
	__s32 pid;
	__u32 flags;
	__u32 target;
	__u32 reserved;
};

/**
 * struct mergemod_target - a target to activate or to forget
 * @target: its number
 * @flags: 0
 */
struct mergemod_target {
	__u32 target;
	__u32 flags;
};

/* What a page is. */
#define MERGEMOD_PAGE_ZERO	(1U << 0)	/* the kernel's zero page */
#define MERGEMOD_PAGE_MERGED	(1U << 1)	/* a shared frame of this module */
#define MERGEMOD_PAGE_KSM	(1U << 2)	/* merged by KSM */
#define MERGEMOD_PAGE_HUGE	(1U << 3)	/* part of a huge page */
#define MERGEMOD_PAGE_SHARED	(1U << 4)	/* mapped more than once */
#define MERGEMOD_PAGE_FILE	(1U << 5)	/* of a file, or of shared memory */
#define MERGEMOD_PAGE_FILE_AREA	(1U << 6)	/* in a private file mapping: KSM only */
#define MERGEMOD_PAGE_REFUSED	(1U << 7)	/* in an area that MERGE refuses */
#define MERGEMOD_PAGE_ZEROS	(1U << 8)	/* full of zeros (SCAN; HASH of all bytes) */

/**
 * struct mergemod_page - one page
 * @address: of the page in the target; HASH: in
 * @frame: out: page frame number, 0 for the zero page
 * @hash: out: see below (HASH, SCAN); pages with different hashes differ
 * @flags: out: MERGEMOD_PAGE_*
 * @status: out: 0, or with MERGEMOD_SCAN_COUNT how often the page is mapped; HASH: ENODATA
 *          if there is no page, or its frame is broken, or SCAN would not look into its
 *          area, negative
 */
struct mergemod_page {
	__u64 address;
	__u64 frame;
	__u64 hash;
	__u32 flags;
	__s32 status;
};

/* Which pages SCAN does not leave out. */
#define MERGEMOD_SCAN_ZEROS	(1U << 0)	/* full of zeros, with their hash */
#define MERGEMOD_SCAN_MERGED	(1U << 1)	/* shared frames, the zero page, KSM's */
#define MERGEMOD_SCAN_HUGE	(1U << 2)	/* parts of huge pages */
#define MERGEMOD_SCAN_FILE_AREA	(1U << 3)	/* private pages of private file mappings */

/*
 * What PAGES, HASH and SCAN tell besides: how often a page is mapped, as in
 * /proc/kpagecount; 0 for the kernel's zero page. Of a page that belongs to a larger one it
 * can be the rounded average of that.
 */
#define MERGEMOD_SCAN_COUNT	(1U << 5)

/*
 * What HASH and SCAN hash: one of these, or none for all bytes. A program can compute the
 * same of a page's bytes. Without a flag it is XXH64 of the whole page with the seed:
 *
 *	hash = XXH64(page, page_size, seed);
 *
 * MERGEMOD_SCAN_SAMPLE: XXH64, with the seed, of four lines of 64 bytes, one out of each
 * quarter of the page. Sixteen bits of the seed choose each, with a seed of 0 they are the
 * quarters' first:
 *
 *	unsigned char sample[4][64];
 *	size_t quarter = page_size / 4;
 *
 *	for (int i = 0; i < 4; i++) {
 *		size_t line = (seed >> (16 * i)) % (quarter / 64);
 *
 *		memcpy(sample[i], page + i * quarter + line * 64, 64);
 *	}
 *	hash = XXH64(sample, sizeof(sample), seed);
 *
 * MERGEMOD_SCAN_ADDROTHALF: the first half of the page as 64-bit words, in the machine's
 * byte order. To the seed each is added, and the sum rotated left by one bit:
 *
 *	const uint64_t *words = page;
 *
 *	hash = seed;
 *	for (size_t i = 0; i < page_size / 2 / 8; i++) {
 *		hash += words[i];
 *		hash = hash << 1 | hash >> 63;
 *	}
 *
 * MERGEMOD_SCAN_CONST: the seed itself. HASH does not read the page then.
 */
#define MERGEMOD_SCAN_SAMPLE	(1U << 4)
#define MERGEMOD_SCAN_ADDROTHALF (1U << 6)
#define MERGEMOD_SCAN_CONST	(1U << 7)

/**
 * struct mergemod_scan - PAGES, HASH and SCAN
 * @target: whose pages
 * @flags: in: SCAN: MERGEMOD_SCAN_*; HASH: MERGEMOD_SCAN_COUNT and what to hash;
 *	PAGES: MERGEMOD_SCAN_COUNT
 * @start: in: first address; out: where to go on (PAGES, SCAN); HASH: 0
 * @end: in: first address behind the range (PAGES, SCAN); HASH: 0
 * @seed: in: of the hashes, drawn anew now and then; PAGES: 0
 * @pages: in: address of an array of struct mergemod_page
 * @n_pages: in: its length
 * @done: out: elements filled in
 *
 * None of them looks into what devices map or into hugetlbfs. SCAN and HASH read pages of
 * areas that MERGE does not refuse, and of private file mappings.
 *
 * SCAN and PAGES walk page tables rather than addresses: holes cost nothing. @start
 * has reached @end when all is done; when the array is full, or a signal came, it
 * has not. HASH goes on at @done, and is fastest where addresses ascend. A sample is
 * many times faster, and most pages that are not equal have different ones; MERGE finds
 * out about the others.
 */
struct mergemod_scan {
	__u32 target;
	__u32 flags;
	__u64 start;
	__u64 end;
	__u64 seed;
	__u64 pages;
	__u32 n_pages;
	__u32 done;
};

/**
 * enum mergemod_domain - whose pages may share a frame
 * @MERGEMOD_DOMAIN_USER: equal real, effective, saved and filesystem uid, user, pid and
 *	mount namespace; if one of the uids is 0 also the same cgroup
 * @MERGEMOD_DOMAIN_CGROUP: equal namespaces, and below one given cgroup
 * @MERGEMOD_DOMAIN_SESSION: all pages merged through this session, of whoever
 * @MERGEMOD_DOMAIN_SYSTEM: all pages merged with this domain, of whoever
 */
enum mergemod_domain {
	MERGEMOD_DOMAIN_USER,
	MERGEMOD_DOMAIN_CGROUP,
	MERGEMOD_DOMAIN_SESSION,
	MERGEMOD_DOMAIN_SYSTEM,
};

/**
 * enum mergemod_huge - what becomes of huge pages
 * @MERGEMOD_HUGE_KEEP: areas that could hold a huge page are left alone
 * @MERGEMOD_HUGE_AUTO: areas that hold none now are merged, and get none any more
 * @MERGEMOD_HUGE_SPLIT: huge pages are split where a page of theirs is to be merged
 *
 * The kernel builds huge pages out of small ones on the assumption that every small
 * one is anonymous. So an area that could hold one gets MADV_NOHUGEPAGE before its first
 * merge, which UNMERGE up to its end undoes, through the same target, when nothing in it is
 * merged any more. Kernels with CONFIG_DEBUG_VM stop where others notice in time; there
 * all areas get it, also those that could not hold a huge page and are merged whatever is
 * said here.
 */
enum mergemod_huge {
	MERGEMOD_HUGE_KEEP,
	MERGEMOD_HUGE_AUTO,
	MERGEMOD_HUGE_SPLIT,
};

/**
 * struct mergemod_element - a page to merge
 * @address: of the page
 * @target: whose
 * @group: pages with equal numbers are believed to be equal; less than n_elements
 * @status: out
 * @reserved: 0
 *
 * Statuses, negative:
 *   EALREADY     it is merged: a shared frame, the zero page, or KSM's
 *   ESTALE       its bytes are not those of its group (any more); or, with
 *                MERGEMOD_MERGE_ZERO_ONLY, not zeros
 *   EBUSY        it is pinned or otherwise in use, or taken by another merge
 *   EAGAIN       it is on its way: just faulted in, written back, about to be freed; or
 *                so many share the frame of its group, or it is on another node, that
 *                the next call takes another; or its area is just being changed
 *   ENODATA      there is no page: not touched yet, or swapped out
 *   EFAULT       there is no area
 *   EOPNOTSUPP   the area is of a kind that is refused
 *   EMEDIUMTYPE  the page is not anonymous memory
 *   EHWPOISON    its frame is broken
 *   E2BIG        a huge page, or an area that could hold one, see enum mergemod_huge
 *   EXDEV        it is of another domain than its group, or not below the cgroup
 *   ENOSPC       no more shared frames: max_frames is reached
 *   EDQUOT       no more shared frames for this user
 *   ENOMEM       no memory for a frame, or the target's cgroup is full; or the target has
 *                more than 4096 areas in which huge pages would have to be forbidden
 *   ESRCH        the target's memory is gone
 *   ENOENT       no such target
 *   ENOTCONN     the target is not active
 *   EINVAL       the address is not that of a page, or the group's number too high
 */
struct mergemod_element {
	__u64 address;
	__u32 target;
	__u32 group;
	__s32 status;
	__u32 reserved;
};

#define MERGEMOD_MERGE_ZERO_ONLY (1U << 0)	/* only pages of zeros */

/**
 * struct mergemod_merge - merge groups of pages
 * @flags: in: MERGEMOD_MERGE_*
 * @domain: in: enum mergemod_domain
 * @huge: in: enum mergemod_huge
 * @cgroup_fd: in: MERGEMOD_DOMAIN_CGROUP: directory of the cgroup; otherwise -1
 * @narrow: in: only pages merged with this number may share
 * @elements: in: address of an array of struct mergemod_element
 * @n_elements: in: its length
 * @done: out: elements dealt with
 * @merged: out: pages merged
 * @zero_merged: out: of them pages of zeros
 * @freed: out: frames that nobody maps any more. They may sit in lists of the kernel
 *	for a while before they are free.
 * @new_frames: out: shared frames made
 */
struct mergemod_merge {
	__u32 flags;
	__u32 domain;
	__u32 huge;
	__s32 cgroup_fd;
	__u64 narrow;
	__u64 elements;
	__u32 n_elements;
	__u32 done;
	__u32 merged;
	__u32 zero_merged;
	__u32 freed;
	__u32 new_frames;
};

/**
 * struct mergemod_range - addresses of a target
 * @start: in: first; out: how far it came
 * @end: in: first behind
 * @target: whose
 * @status: out: 0, or the first error, negative; ENOMEM if that ended it
 * @pages: out: pages unmerged; ADVISE: areas changed
 *
 * Statuses, negative: ENOENT, ENOTCONN, ESRCH, EINVAL as above; UNMERGE: ENOMEM if there
 * is no memory left, or the target's cgroup is full: from @start on all stays as it is;
 * EFAULT if a page cannot be written to, or userfaultfd watches it: it stays merged.
 * ADVISE: EINVAL if an area lies in the range only in part, ERANGE if there is no area,
 * EOPNOTSUPP if KSM does not take an area.
 */
struct mergemod_range {
	__u64 start;
	__u64 end;
	__u32 target;
	__s32 status;
	__u64 pages;
};

#define MERGEMOD_UNMERGE_ZERO	(1U << 0)	/* also the zero page */
#define MERGEMOD_UNMERGE_SINGLE	(1U << 1)	/* only frames with one user left */

#define MERGEMOD_ADVISE_KSM	(1U << 0)	/* register with KSM */
#define MERGEMOD_ADVISE_NO_KSM	(1U << 1)	/* unregister and unmerge */

/**
 * struct mergemod_ranges - UNMERGE and ADVISE
 * @ranges: in: address of an array of struct mergemod_range
 * @n_ranges: in: its length
 * @done: out: ranges dealt with
 * @flags: in: UNMERGE: MERGEMOD_UNMERGE_*; ADVISE: one of MERGEMOD_ADVISE_*
 * @reserved: 0
 *
 * A range that was not finished when a signal came is not counted in @done, and its
 * start says how far it came; its status and pages are those of the part before it. Ranges
 * that were not begun stay as they were.
 */
struct mergemod_ranges {
	__u64 ranges;
	__u32 n_ranges;
	__u32 done;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct mergemod_stats - counters since the module was loaded
 * @frames: shared frames now
 * @frames_max: at most so many
 * @mappings: how often they are mapped
 * @merged: pages merged, those of zeros included
 * @zero_merged: pages of zeros merged
 * @freed: frames of processes that nobody mapped any more after that
 * @unmerged: pages unmerged
 * @differed: pages that were not equal when it came to it
 * @refused_area: pages in areas of a kind that is refused
 * @refused_page: pages of a kind that is refused
 * @refused_huge: huge pages, and pages in areas that could hold one
 * @refused_busy: pages in use
 * @refused_domain: pages of another domain
 * @refused_limit: pages for which no frame was left
 * @refused_memory: pages for which there was no memory
 * @absent: pages that were not there
 * @already: pages merged before
 * @frames_made: shared frames made
 * @frames_given_back: shared frames that nobody used any more
 * @hashed: pages hashed
 * @lock_usec_max: longest time a target's memory was locked, microseconds, with the time
 *	for which the caller was preempted meanwhile
 * @reserved: 0
 */
struct mergemod_stats {
	__u64 frames;
	__u64 frames_max;
	__u64 mappings;
	__u64 merged;
	__u64 zero_merged;
	__u64 freed;
	__u64 unmerged;
	__u64 differed;
	__u64 refused_area;
	__u64 refused_page;
	__u64 refused_huge;
	__u64 refused_busy;
	__u64 refused_domain;
	__u64 refused_limit;
	__u64 refused_memory;
	__u64 absent;
	__u64 already;
	__u64 frames_made;
	__u64 frames_given_back;
	__u64 hashed;
	__u64 lock_usec_max;
	__u64 reserved[3];
};

#define MERGEMOD_IOC 0xbc

#define MERGEMOD_INFO		_IOWR(MERGEMOD_IOC, 0x00, struct mergemod_info)
#define MERGEMOD_ATTACH		_IOWR(MERGEMOD_IOC, 0x01, struct mergemod_attach)
#define MERGEMOD_ACTIVATE	_IOW(MERGEMOD_IOC, 0x02, struct mergemod_target)
#define MERGEMOD_DETACH		_IOW(MERGEMOD_IOC, 0x03, struct mergemod_target)
#define MERGEMOD_PAGES		_IOWR(MERGEMOD_IOC, 0x04, struct mergemod_scan)
#define MERGEMOD_HASH		_IOWR(MERGEMOD_IOC, 0x05, struct mergemod_scan)
#define MERGEMOD_SCAN		_IOWR(MERGEMOD_IOC, 0x06, struct mergemod_scan)
#define MERGEMOD_MERGE		_IOWR(MERGEMOD_IOC, 0x07, struct mergemod_merge)
#define MERGEMOD_UNMERGE	_IOWR(MERGEMOD_IOC, 0x08, struct mergemod_ranges)
#define MERGEMOD_ADVISE		_IOWR(MERGEMOD_IOC, 0x09, struct mergemod_ranges)
#define MERGEMOD_STATS		_IOR(MERGEMOD_IOC, 0x0a, struct mergemod_stats)

#endif /* _UAPI_LINUX_MERGEMOD_H */
