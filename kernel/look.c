// SPDX-License-Identifier: GPL-2.0-only
/*
 * MERGEMOD_MERGE, first step: what is there, and what it is to share. Nothing is frozen yet.
 */
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>

#include "area.h"
#include "compat.h"
#include "merger.h"
#include "page.h"
#include "walk.h"

static int look_at_content(struct merger *merger, struct candidate *candidate, struct page *page)
{
	struct group *group = candidate->group;

	candidate->zero = page_is_zeros(page) && !mm_forbids_zeropage(merger->use.mm);
	if (candidate->zero)
		return PENDING;
	if (merger->call->flags & MERGEMOD_MERGE_ZERO_ONLY)
		return -ESTALE;
	return groups_resolve(&merger->groups, group, &merger->use, page) ?: PENDING;
}

/**
 * area_at() - the area that an address lies in
 * @mm: whose, locked
 * @address: where
 *
 * Return: the area, or NULL.
 */
struct vm_area_struct *area_at(struct mm_struct *mm, unsigned long address)
{
	struct vm_area_struct *vma = find_vma(mm, address);

	return vma && vma->vm_start <= address ? vma : NULL;
}

/**
 * check_at() - is there a page that may be merged?
 * @vma: the area, its mm locked; NULL if there is none
 * @address: of the page
 * @ret: the page, with a reference
 *
 * Return: 0 or the status for the caller.
 */
int check_at(struct vm_area_struct *vma, unsigned long address, struct mapping *ret)
{
	int r;

	if (!vma)
		return -EFAULT;
	r = area_check(vma);
	if (r)
		return r;
	if (!walk_gather(vma, &address, address + PAGE_SIZE, ret, 1))
		return -ENODATA;
	r = !ret->page ? -EALREADY : ret->huge ? -E2BIG : page_check(ret->page);
	if (r)
		walk_release(ret, 1);
	return r;
}

static void look_at(struct merger *merger, struct candidate *candidate)
{
	struct vm_area_struct *vma = area_at(merger->use.mm, candidate->address);
	struct mapping mapping;

	candidate->status = check_at(vma, candidate->address, &mapping);
	if (candidate->status)
		return;
	merger->huge |= area_gets_huge(vma);
	candidate->status = look_at_content(merger, candidate, mapping.page);
	walk_release(&mapping, 1);
}

/**
 * look_at_all() - find out what becomes of the candidates
 * @merger: the call; candidates that are not pending have their status
 *
 * Return: 0 or -EINTR.
 */
int look_at_all(struct merger *merger)
{
	if (mmap_read_lock_killable(merger->use.mm))
		return -EINTR;
	for (unsigned int i = 0; i < merger->n; i++)
		if (merger->candidates[i].status == PENDING)
			look_at(merger, &merger->candidates[i]);
	mmap_read_unlock(merger->use.mm);
	return 0;
}

/* Freezing part of a huge page splits it. What is not split will be -E2BIG again. */
static void split_at(struct merger *merger, unsigned long address)
{
	struct vm_area_struct *vma = area_at(merger->use.mm, address);
	struct mapping mapping;

	if (check_at(vma, address, &mapping) != -E2BIG)
		return;
	if (!freeze(&merger->freezer, vma, address, 1))
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

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for (unsigned int i = 0; i < merger->n && !check_stable_address_space(mm); i++) {
		if (merger->candidates[i].status != -E2BIG)
			continue;
		split_at(merger, merger->candidates[i].address);
		merger->candidates[i].status = PENDING;
	}
	mmap_read_unlock(mm);
	return 0;
}

/**
 * forbid_huge() - see to it that no area of a candidate gets a huge page
 * @merger: the call; candidates where that may not be have their status
 *
 * One answer per area: to find out may take a walk through all of it.
 *
 * Return: 0 or -EINTR.
 */
int forbid_huge(struct merger *merger)
{
	struct vm_area_struct *vma, *last = NULL;
	struct mm_struct *mm = merger->use.mm;
	int r = 0;

	if (!merger->huge)
		return 0;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	for (unsigned int i = 0; i < merger->n; i++) {
		struct candidate *candidate = &merger->candidates[i];

		vma = candidate->status == PENDING ? area_at(mm, candidate->address) : NULL;
		if (!vma || area_check(vma))
			continue;
		if (vma != last)
			r = area_forbid_huge(merger->use.target, vma, merger->call->huge);
		if (r)
			candidate->status = r;
		last = vma;
	}
	mmap_write_unlock(mm);
	return 0;
}
