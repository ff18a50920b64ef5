// SPDX-License-Identifier: GPL-2.0-only
/*
 * MERGEMOD_MERGE, first step: what is there, and what it wants. Nothing is frozen yet.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "area.h"
#include "compat.h"
#include "merger.h"
#include "page.h"
#include "stats.h"
#include "walk.h"

static struct vm_area_struct *area_at(struct mm_struct *mm, unsigned long address)
{
	struct vm_area_struct *vma = find_vma(mm, address);

	return vma && vma->vm_start <= address ? vma : NULL;
}

/**
 * find_area() - the area of a candidate, if it may be merged there
 * @merger: the call; the target's memory is locked
 * @i: which candidate; if it is pending and may not be merged it has its status then
 *
 * Return: the area, or NULL.
 */
struct vm_area_struct *find_area(struct merger *merger, unsigned int i)
{
	struct candidate *candidate = &merger->candidates[i];
	struct vm_area_struct *vma;
	int r;

	if (candidate->status != PENDING)
		return NULL;
	vma = area_at(merger->use.mm, candidate->address);
	r = vma ? area_check(vma) : -EFAULT;
	if (!r)
		return vma;
	candidate->status = r;
	return NULL;
}

static int check_mapping(const struct mapping *mapping)
{
	if (!mapping->page)
		return -EALREADY;
	return mapping->huge ? -E2BIG : page_check(mapping->page);
}

/**
 * run_length() - how many candidates are neighbours
 * @merger: the call
 * @first: the first of them, pending
 * @vma: its area
 */
unsigned int run_length(const struct merger *merger, unsigned int first, const struct vm_area_struct *vma)
{
	const struct candidate *candidates = merger->candidates;
	unsigned int n = 0;

	while (first + n < merger->n && candidates[first + n].status == PENDING &&
	       candidates[first + n].address == candidates[first].address + n * PAGE_SIZE &&
	       candidates[first + n].address < vma->vm_end)
		n++;
	return n;
}

/* Candidates whose page may be merged have it then, with a reference; others have their status. */
static unsigned int find_run(struct merger *merger, unsigned int first, struct vm_area_struct *vma)
{
	unsigned int n = run_length(merger, first, vma), n_found = 0;
	struct candidate *candidates = &merger->candidates[first];
	unsigned long start = candidates[0].address, address = start, end = start + n * PAGE_SIZE;

	while (address < end)
		n_found += walk_gather(vma, &address, end, &merger->mappings[n_found], n - n_found);

	for (unsigned int i = 0; i < n; i++)
		candidates[i].status = -ENODATA;
	for (unsigned int i = 0; i < n_found; i++) {
		struct mapping *mapping = &merger->mappings[i];
		struct candidate *candidate = &candidates[(mapping->address - start) / PAGE_SIZE];
		int r = check_mapping(mapping);

		candidate->status = r ?: PENDING;
		if (r)
			walk_release(mapping, 1);
		else
			candidate->page = mapping->page;
	}
	return n;
}

static void release_run(struct merger *merger, unsigned int first, unsigned int n)
{
	for (unsigned int i = first; i < first + n; i++) {
		if (merger->candidates[i].page)
			put_page(merger->candidates[i].page);
		merger->candidates[i].page = NULL;
	}
}

/* Pages of zeros want no frame. Once there is one for the group they are not expected. */
static int look_at_content(struct merger *merger, struct candidate *candidate)
{
	/* Since it was checked others were looked at. */
	if (PageHWPoison(candidate->page))
		return -EHWPOISON;
	if (!candidate->group->page && merge_as_zeros(merger, candidate->page))
		return PENDING;
	if (merger->call->flags & MERGEMOD_MERGE_ZERO_ONLY)
		return -ESTALE;
	candidate->nid = page_to_nid(candidate->page);
	return PENDING;
}

/*
 * Where nothing has to be found out for the second step, which looks for itself: no huge pages,
 * and every group has its frame, on the only node there is.
 */
static bool run_is_known(const struct merger *merger, unsigned int first, unsigned int n)
{
	if (merger->call->huge == MERGEMOD_HUGE_SPLIT || num_online_nodes() > 1)
		return false;
	for (unsigned int i = first; i < first + n; i++)
		if (!group_has_room(merger->candidates[i].group))
			return false;
	return true;
}

/* Returns how many candidates it was. */
static unsigned int look_from(struct merger *merger, unsigned int first)
{
	struct vm_area_struct *vma = find_area(merger, first);
	bool gets_huge, keeps_huge;
	unsigned int n;

	if (!vma)
		return 1;
	gets_huge = area_gets_huge(vma);
	n = run_length(merger, first, vma);
	if (!gets_huge && run_is_known(merger, first, n))
		return n;
	keeps_huge = gets_huge && area_fits_huge(vma) && merger->call->huge == MERGEMOD_HUGE_KEEP;
	n = find_run(merger, first, vma);
	for (unsigned int i = first; i < first + n; i++) {
		struct candidate *candidate = &merger->candidates[i];

		candidate->nid = NUMA_NO_NODE;
		if (candidate->page)
			candidate->status = keeps_huge ? -E2BIG : look_at_content(merger, candidate);
	}
	/* Before memory is allocated. */
	release_run(merger, first, n);
	for (unsigned int i = first; i < first + n; i++) {
		struct candidate *candidate = &merger->candidates[i];
		int r;

		if (candidate->status != PENDING)
			continue;
		merger->huge |= gets_huge;
		if (candidate->nid == NUMA_NO_NODE)
			continue;
		r = group_prepare(&merger->groups, candidate->group, &merger->use, candidate->nid, false);
		candidate->status = r ?: PENDING;
		candidate->frameless = r == -ENOMEM || r == -ENOSPC || r == -EDQUOT;
	}
	return n;
}

/**
 * look_again() - what has become of a candidate that cannot be frozen after all
 * @merger: the call, the target's memory locked
 * @i: which candidate; it has its status then
 * @vma: its area
 */
void look_again(struct merger *merger, unsigned int i, struct vm_area_struct *vma)
{
	release_run(merger, i, find_run(merger, i, vma));
	if (merger->candidates[i].status == PENDING)
		merger->candidates[i].status = -EAGAIN;
}

/**
 * look_at_all() - find out what becomes of the candidates
 * @merger: the call, the target's memory locked; candidates that are not pending have their status
 */
void look_at_all(struct merger *merger)
{
	merger->huge = false;
	for (unsigned int i = 0; i < merger->n;)
		i += look_from(merger, i);
}

/**
 * make_frames() - try again to get frames, with more patience until that was in vain
 * @merger: the call, the target's memory not locked
 *
 * Return: whether there are candidates that are pending again.
 */
bool make_frames(struct merger *merger)
{
	bool any = false, wait = true;

	for (unsigned int i = 0; i < merger->n; i++) {
		struct candidate *candidate = &merger->candidates[i];
		int r;

		if (!candidate->frameless)
			continue;
		r = group_prepare(&merger->groups, candidate->group, &merger->use, candidate->nid, wait);
		/* Each of the others would take as long. */
		if (r == -ENOMEM || fatal_signal_pending(current))
			wait = false;
		candidate->status = r ?: PENDING;
		candidate->frameless = false;
		any |= !r;
	}
	return any;
}

/* Freezing part of a huge page splits it. What is not split will be -E2BIG again. */
static void split_at(struct merger *merger, unsigned int i)
{
	struct candidate *candidate = &merger->candidates[i];
	struct vm_area_struct *vma;

	candidate->status = PENDING;
	vma = find_area(merger, i);
	if (!vma)
		return;
	release_run(merger, i, find_run(merger, i, vma));
	if (candidate->status != -E2BIG)
		return;
	candidate->status = PENDING;
	if (!freeze(&merger->freezer, vma, candidate->address, 1))
		thaw(&merger->freezer);
}

/**
 * split_all() - split the huge pages among the candidates
 * @merger: the call; those candidates are pending again
 *
 * Return: 0 or -EINTR.
 */
int split_all(struct merger *merger)
{
	struct mm_struct *mm = merger->use.mm;

	for (unsigned int i = 0; i < merger->n; i++) {
		u64 locked;

		if (merger->candidates[i].status != -E2BIG)
			continue;
		/* Each may be another huge page, and takes long. */
		if (mmap_read_lock_killable(mm))
			return -EINTR;
		locked = ktime_get_ns();
		if (!check_stable_address_space(mm))
			split_at(merger, i);
		stats_lock_held(ktime_get_ns() - locked);
		mmap_read_unlock(mm);
	}
	return 0;
}

/* Where huge pages are to be kept as they are, candidates in areas that hold one have their status. */
static int keep_huge(struct merger *merger)
{
	unsigned long start = 0, end = 0;
	int r = 0;

	for (unsigned int i = 0; i < merger->n; i++) {
		struct candidate *candidate = &merger->candidates[i];

		if (candidate->status != PENDING)
			continue;
		if (candidate->address < start || candidate->address >= end)
			r = area_has_huge(merger->use.mm, candidate->address, &start, &end);
		if (r == -EINTR)
			return r;
		if (r)
			candidate->status = r > 0 ? -E2BIG : r;
	}
	return 0;
}

/**
 * forbid_huge() - see to it that no area of a candidate gets a huge page
 * @merger: the call; candidates where that may not be have their status
 *
 * Return: 0 or -EINTR.
 */
int forbid_huge(struct merger *merger)
{
	struct vm_area_struct *vma, *last = NULL;
	struct mm_struct *mm = merger->use.mm;
	u64 locked;
	int r = 0;

	if (merger->call->huge == MERGEMOD_HUGE_AUTO) {
		r = keep_huge(merger);
		if (r)
			return r;
	}
	r = notes_make_room(&merger->use.target->notes, mm, merger->n);
	if (r)
		return r;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	locked = ktime_get_ns();
	for (unsigned int i = 0; i < merger->n; i++) {
		vma = find_area(merger, i);
		if (!vma)
			continue;
		if (vma != last)
			r = area_forbid_huge(merger->use.target, vma, merger->call->huge);
		if (r)
			merger->candidates[i].status = r;
		last = vma;
	}
	stats_lock_held(ktime_get_ns() - locked);
	mmap_write_unlock(mm);
	return 0;
}
