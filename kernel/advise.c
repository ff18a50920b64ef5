// SPDX-License-Identifier: GPL-2.0-only
/*
 * MERGEMOD_ADVISE: areas in and out of the kernel's KSM.
 */
#include <linux/ksm.h>
#include <linux/mman.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/signal.h>

#include "compat.h"
#include "ranges.h"

/*
 * Asks KSM, and stores its answer. Some kernels lose flags on the way (CVE-2025-40040), so
 * only the one that is KSM's to change is taken over.
 */
static int advise_area(struct vm_area_struct *vma, bool merge)
{
	vm_flags_t flags = vma->vm_flags;
	int r;

	if (!(flags & VM_MERGEABLE) == !merge)
		return 0;
	compat_area_lock(vma);
	r = ksm_madvise(vma, vma->vm_start, vma->vm_end, merge ? MADV_MERGEABLE : MADV_UNMERGEABLE, &flags);
	if (r)
		return r;
	/* KSM says nothing where it does not want an area. */
	if (!(flags & VM_MERGEABLE) == merge)
		return -EOPNOTSUPP;
	compat_area_flags(vma, merge ? VM_MERGEABLE : 0, merge ? 0 : VM_MERGEABLE);
	return 1;
}

/* The next area of a range; areas are not split, so only whole ones. */
static int advise_step(struct mm_struct *mm, struct mergemod_range *range, u32 flags, bool *found)
{
	struct vm_area_struct *vma;
	u64 next = range->end;
	int r = 0;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	vma = find_vma(mm, range->start);
	if (vma && vma->vm_start < range->end) {
		*found = true;
		next = vma->vm_end;
		r = vma->vm_start < range->start || vma->vm_end > range->end ?
		    -EINVAL : advise_area(vma, flags & MERGEMOD_ADVISE_KSM);
	}
	mmap_write_unlock(mm);

	/* Unmerging stops at signals, which belong to the caller. */
	if (r == -ERESTARTSYS || r == -EINTR)
		return -EINTR;
	if (r > 0)
		range->pages++;
	else if (r && !range->status)
		range->status = r;
	range->start = min(next, range->end);
	return 0;
}

static int advise_range(struct target_use *use, struct mergemod_range *range, u32 flags)
{
	bool found = false;
	int r = 0;

	while (!r && range->start < range->end) {
		if (signal_pending(current))
			return -EINTR;
		r = advise_step(use->mm, range, flags, &found);
		cond_resched();
	}
	if (!r && !found)
		range->status = -ERANGE;
	return r;
}

/**
 * advise_call() - MERGEMOD_ADVISE
 * @session: whose call
 * @call: its argument
 *
 * Return: 0 or a negative errno, see the interface.
 */
int advise_call(struct session *session, struct mergemod_ranges *call)
{
	if (!IS_ENABLED(CONFIG_KSM))
		return -EOPNOTSUPP;
	if (call->flags != MERGEMOD_ADVISE_KSM && call->flags != MERGEMOD_ADVISE_NO_KSM)
		return -EINVAL;
	return ranges_run(session, call, advise_range);
}
