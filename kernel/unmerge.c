// SPDX-License-Identifier: GPL-2.0-only
/*
 * MERGEMOD_UNMERGE: pages of their own for those who share.
 */
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/userfaultfd_k.h>

#include "area.h"
#include "compat.h"
#include "page.h"
#include "ranges.h"
#include "stats.h"
#include "walk.h"

#define UNMERGE_BATCH 32

static bool is_wanted(const struct mapping *mapping, u32 flags)
{
	if (mapping->huge)
		return false;
	if (!mapping->page)
		return flags & MERGEMOD_UNMERGE_ZERO;
	if (!page_is_merged(mapping->page))
		return false;
	return !(flags & MERGEMOD_UNMERGE_SINGLE) || atomic_read(&mapping->page->_mapcount) == 0;
}

/*
 * In its cgroup too. If there is none, a write has the OOM killer make room. Others may take what
 * there is before the write does.
 */
static bool has_memory(struct mm_struct *mm)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(mm), *old = set_active_memcg(memcg);
	struct page *page = alloc_page(GFP_HIGHUSER_MOVABLE | __GFP_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);

	set_active_memcg(old);
	mem_cgroup_put(memcg);
	if (page)
		__free_page(page);
	return page;
}

/* A write that changes nothing. The lock is dropped where that takes long. */
static int unmerge_page(struct mm_struct *mm, unsigned long address, int *locked)
{
	long r = has_memory(mm) ? compat_fault_write(mm, address, locked) : -ENOMEM;

	if (r == 1)
		return 0;
	return r == -ENOMEM || r == -EFAULT ? r : -EFAULT;
}

/* Moves on the start of what is left. Without memory none is tried after the first. */
static int unmerge_some(struct mm_struct *mm, const unsigned long *addresses, unsigned int n,
			struct mergemod_range *range, int *locked)
{
	for (unsigned int i = 0; i < n && *locked; i++) {
		int r;

		range->start = addresses[i];
		r = unmerge_page(mm, addresses[i], locked);
		if (r == -ENOMEM || (r && !range->status))
			range->status = r;
		if (r == -ENOMEM)
			return r;
		range->start += PAGE_SIZE;
		range->pages += !r;
	}
	return 0;
}

/* Returns 0, -EINTR or, as the range's status is then, -ENOMEM. */
static int unmerge_step(struct mm_struct *mm, struct mergemod_range *range, u32 flags)
{
	unsigned long address = range->start, end, wanted[UNMERGE_BATCH];
	struct mapping mappings[UNMERGE_BATCH];
	unsigned int n = 0, n_wanted = 0;
	struct vm_area_struct *vma;
	int locked = 1, r;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = find_vma(mm, address);
	if (!vma || vma->vm_start >= range->end) {
		range->start = range->end;
		mmap_read_unlock(mm);
		return 0;
	}
	address = max(address, vma->vm_start);
	end = min_t(unsigned long, vma->vm_end, range->end);
	if (!vma_is_anonymous(vma) || vma->vm_flags & (VM_SHARED | VM_SPECIAL))
		address = end;
	else
		n = walk_gather(vma, &address, end, mappings, UNMERGE_BATCH);

	for (unsigned int i = 0; i < n; i++)
		if (is_wanted(&mappings[i], flags))
			wanted[n_wanted++] = mappings[i].address;
	walk_release(mappings, n);
	/* The fault would wait for whoever watches the area. */
	if (n_wanted && userfaultfd_armed(vma)) {
		range->status = range->status ?: -EFAULT;
		n_wanted = 0;
	}
	r = unmerge_some(mm, wanted, n_wanted, range, &locked);
	if (!locked)
		return r;
	if (!r)
		range->start = address;
	mmap_read_unlock(mm);
	return r;
}

static int unmerge_range(struct target_use *use, struct mergemod_range *range, u32 flags)
{
	const u64 start = range->start;
	int r = 0, undone = 0;

	while (!r && range->start < range->end) {
		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}
		r = unmerge_step(use->mm, range, flags);
		cond_resched();
	}
	stats_add(STAT_UNMERGED, range->pages);
	/* Who goes on after a signal does so behind what is done. */
	if (range->start > start && !(flags & MERGEMOD_UNMERGE_SINGLE))
		undone = area_allow_huge(use->target, use->mm, start, range->start);
	return r == -ENOMEM ? undone : r ?: undone;
}

/**
 * unmerge_call() - MERGEMOD_UNMERGE
 * @session: whose call
 * @call: its argument
 *
 * Return: 0 or a negative errno, see the interface.
 */
int unmerge_call(struct session *session, struct mergemod_ranges *call)
{
	if (call->flags & ~(MERGEMOD_UNMERGE_ZERO | MERGEMOD_UNMERGE_SINGLE))
		return -EINVAL;
	return ranges_run(session, call, unmerge_range);
}
