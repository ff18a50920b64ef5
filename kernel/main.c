// SPDX-License-Identifier: GPL-2.0-only
/*
 * mergemod: merges equal pages of running processes, at once.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "domain.h"
#include "frames.h"
#include "session.h"
#include "stats.h"
#include "sweep.h"

/**
 * DOC: overview
 *
 * A page of a process is merged in five steps. It is *frozen* (freeze.c): taken from
 * everybody who maps it, by the means with which the kernel moves memory to devices. It is
 * *compared*, byte by byte, with a *shared frame*. If they are equal, the entry of the
 * process's page table, which stands for the frozen page, becomes one that maps the frame
 * read-only. Then everything is *thawed*: the kernel puts back what was not replaced, and
 * frees what nobody maps any more.
 *
 * From then on the kernel takes the frame for a page of a file that is mapped privately. A
 * write gives the process a copy of its own; fork, exit, munmap, mremap and mprotect do what
 * they always do. Nothing of it refers to this module, which may be unloaded.
 *
 * The parts, from the outside in::
 *
 *   session.c   an open file; from an ioctl to its function
 *   target.c    the processes of a session
 *   domain.c    which of them may share
 *   merge.c     MERGEMOD_MERGE: batches of candidates
 *   look.c      its first step: what is there
 *   group.c     groups of candidates, and the frame that each is to share
 *   scan.c      MERGEMOD_PAGES, MERGEMOD_HASH, MERGEMOD_SCAN
 *   hash.c      hashes of pages
 *   ranges.c    arrays of ranges, for the two that follow
 *   unmerge.c   MERGEMOD_UNMERGE
 *   advise.c    MERGEMOD_ADVISE
 *   area.c      which areas are merged, and huge pages in them
 *   notes.c     what is remembered of these
 *   page.c      which pages are merged, and their contents
 *   walk.c      page tables
 *   freeze.c    frozen pages
 *   frames.c    the table of shared frames, by domain and content
 *   owners.c    how many of them each user has
 *   sweep.c     those that nobody uses any more
 *   stats.c     counters
 *   compat.h    what differs from kernel to kernel
 *
 * Locks, from the outermost: a session's lock; a target's against exec, or the mm's lock of a
 * target, only ever one; the area's; locks of frozen pages; a page table's, or those of the table
 * of frames, never both. Reclaim, which goes through that table, does not wait for the outer one.
 */

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mergemod",
	.fops = &session_fops,
	.mode = 0600,
	.groups = stats_groups,
};

static int __init mergemod_init(void)
{
	int r;

	domain_init();
	r = frames_init();
	if (r)
		return r;
	r = sweep_init();
	if (r)
		goto exit_frames;
	r = misc_register(&device);
	if (r)
		goto exit_sweep;
	return 0;

exit_sweep:
	sweep_exit();
exit_frames:
	frames_exit();
	return r;
}

static void __exit mergemod_exit(void)
{
	misc_deregister(&device);
	sweep_exit();
	frames_exit();
}

module_init(mergemod_init);
module_exit(mergemod_exit);

MODULE_DESCRIPTION("Merges equal pages of running processes");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
