// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which areas are merged, and the huge pages in them.
 */
#include <linux/hash.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include "area.h"
#include "compat.h"
#include "stats.h"
#include "target.h"
#include "walk.h"

/**
 * AREA_REFUSED - kinds of areas that are left alone
 *
 * VM_SHARED: nothing private in it. VM_SPECIAL, VM_HUGETLB: not for migrate_vma_setup().
 * VM_LOCKED: whoever locks memory wants no faults on writes. VM_DONTDUMP, VM_WIPEONFORK:
 * so are areas marked that hold secrets. VM_DROPPABLE, VM_SHADOW_STACK: have rules of
 * their own. VM_MERGEABLE: KSM's.
 */
#define AREA_REFUSED (VM_SHARED | VM_MAYSHARE | VM_SPECIAL | VM_HUGETLB | VM_LOCKED | VM_LOCKONFAULT |	\
		      VM_DONTDUMP | VM_WIPEONFORK | VM_DROPPABLE | VM_SHADOW_STACK | VM_MERGEABLE)

static bool area_is_tagged(struct vm_area_struct *vma)
{
#ifdef CONFIG_ARM64_MTE
	return vma->vm_flags & VM_MTE;
#else
	return false;
#endif
}

/**
 * area_check() - may pages of an area be merged?
 * @vma: the area, its mm locked
 *
 * Only areas that are anonymous altogether: in a private file mapping a hole punched into
 * the file takes away every page that is not anonymous, and a merged one is not. Without
 * an anon_vma a fork would not copy the page table.
 *
 * Return: 0 or -EOPNOTSUPP.
 */
int area_check(struct vm_area_struct *vma)
{
	if (!vma_is_anonymous(vma) || !vma->anon_vma)
		return -EOPNOTSUPP;
	if (vma->vm_flags & AREA_REFUSED || area_is_tagged(vma))
		return -EOPNOTSUPP;
	if (userfaultfd_armed(vma) || vma_is_temporary_stack(vma))
		return -EOPNOTSUPP;
	return 0;
}

/**
 * area_is_walked() - may its page tables be read as those of ordinary memory?
 * @vma: the area, its mm locked
 *
 * What devices map need not have a struct page, and hugetlbfs has locks of its own.
 */
bool area_is_walked(struct vm_area_struct *vma)
{
	return !(vma->vm_flags & (VM_SPECIAL | VM_HUGETLB));
}

/**
 * area_has_file_pages() - is it a private mapping of a file, with pages of its own?
 * @vma: the area, its mm locked
 *
 * Such pages are for KSM.
 */
bool area_has_file_pages(struct vm_area_struct *vma)
{
	return vma->vm_file && vma->anon_vma &&
	       !(vma->vm_flags & (VM_SHARED | VM_MAYSHARE | VM_SPECIAL | VM_HUGETLB | VM_LOCKED));
}

/**
 * area_fits_huge() - is an area large enough for a huge page?
 * @vma: the area, its mm locked
 */
bool area_fits_huge(struct vm_area_struct *vma)
{
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	unsigned long first = round_up(vma->vm_start, HPAGE_PMD_SIZE);

	return first >= vma->vm_start && first < vma->vm_end && vma->vm_end - first >= HPAGE_PMD_SIZE;
#else
	return false;
#endif
}

/**
 * area_gets_huge() - would something be merged where khugepaged could come across it unawares?
 * @vma: the area, its mm locked
 *
 * khugepaged looks at a range, drops the lock, comes back, and if the area still fits a huge
 * page it takes for granted that all in it is anonymous. Where it is not, most kernels notice in
 * time, and kernels that look for their own mistakes stop. There even an area that fits none is
 * not safe: it can have been part of a larger one at the first look, and be so again at the second.
 */
bool area_gets_huge(struct vm_area_struct *vma)
{
	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) || vma->vm_flags & VM_NOHUGEPAGE)
		return false;
	return IS_ENABLED(CONFIG_DEBUG_VM) || area_fits_huge(vma);
}

/**
 * area_forbid_huge() - see to it that no huge page is built in an area
 * @target: whose area; remembers what was set
 * @vma: the area, its mm locked for writing
 * @mode: what the caller wants; whether there is a huge page now was looked for before
 *
 * Return: 0 if pages may be merged, -E2BIG if not, -ENOMEM.
 */
int area_forbid_huge(struct target *target, struct vm_area_struct *vma, enum mergemod_huge mode)
{
	int r;

	if (!area_gets_huge(vma))
		return 0;
	if (mode == MERGEMOD_HUGE_KEEP && area_fits_huge(vma))
		return -E2BIG;
	r = notes_add(&target->notes, vma->vm_start, vma->vm_end, vma->vm_flags & VM_HUGEPAGE);
	if (r)
		return r;
	compat_area_flags(vma, VM_NOHUGEPAGE, VM_HUGEPAGE);
	return 0;
}

typedef bool (*finds_t)(struct vm_area_struct *vma, unsigned long *address, unsigned int n_max);

/*
 * An area can be large: a part of it, @n_max tables, at a time. Returns 1 if something was found,
 * 0 if not, -EAGAIN if the area is not what it was, -EINTR.
 */
static int search(struct mm_struct *mm, unsigned long start, unsigned long end, finds_t finds,
		  unsigned int n_max)
{
	unsigned long address = start;
	struct vm_area_struct *vma;
	int r = 0;

	while (address < end && !r) {
		u64 locked;

		if (mmap_read_lock_killable(mm))
			return -EINTR;
		locked = ktime_get_ns();
		vma = find_vma(mm, address);
		if (vma && vma->vm_start == start && vma->vm_end == end)
			r = finds(vma, &address, n_max);
		else
			r = -EAGAIN;
		stats_lock_held(ktime_get_ns() - locked);
		mmap_read_unlock(mm);
		cond_resched();
	}
	return r;
}

#define HUGE_TABLES 1024

/**
 * area_has_huge() - is there a huge page in the area of an address?
 * @mm: whose, not locked
 * @address: the address
 * @ret_start: of the area; without one, of the page
 * @ret_end: of that
 *
 * Only where huge pages have not been forbidden. One can come while others are looked for: it is
 * left alone then.
 *
 * Return: 1, 0, -EAGAIN if the area changed, -EINTR.
 */
int area_has_huge(struct mm_struct *mm, unsigned long address, unsigned long *ret_start,
		  unsigned long *ret_end)
{
	struct vm_area_struct *vma;
	bool wanted = false;

	*ret_start = address;
	*ret_end = address + PAGE_SIZE;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = find_vma(mm, address);
	if (vma && vma->vm_start <= address) {
		wanted = area_gets_huge(vma) && area_fits_huge(vma);
		*ret_start = vma->vm_start;
		*ret_end = vma->vm_end;
	}
	mmap_read_unlock(mm);
	return wanted ? search(mm, *ret_start, *ret_end, walk_finds_huge, HUGE_TABLES) : 0;
}

/*
 * How often something was merged, of each mm, or of some with one number. Under the mm's lock for
 * writing it stands still.
 */
static atomic_t merges[64];

static atomic_t *merges_in(struct mm_struct *mm)
{
	return &merges[hash_ptr(mm, ilog2(ARRAY_SIZE(merges)))];
}

/**
 * area_was_merged() - pages of an area were merged
 * @vma: the area, its mm locked for reading since before that
 */
void area_was_merged(struct vm_area_struct *vma)
{
	/* Whoever sees the number sees the pages. */
	smp_mb__before_atomic();
	atomic_inc(merges_in(vma->vm_mm));
}

static bool is_forbidden(struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_NOHUGEPAGE && vma_is_anonymous(vma) && area_is_walked(vma);
}

#define MERGED_TABLES 8

/*
 * Others may have merged there since, or do so meanwhile. Returns 1 if huge pages are no longer
 * forbidden, 0 if they still are, -EINTR.
 */
static int allow_in(struct mm_struct *mm, unsigned long start, unsigned long end, bool advised)
{
	int r, seen = atomic_read(merges_in(mm));
	struct vm_area_struct *vma;
	u64 locked;

	/* What is merged from now on changes that number. */
	smp_mb();
	r = search(mm, start, end, walk_finds_merged, MERGED_TABLES);
	if (r)
		return r == -EINTR ? r : 0;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	locked = ktime_get_ns();
	vma = find_vma(mm, start);
	if (vma && vma->vm_start == start && vma->vm_end == end && is_forbidden(vma) &&
	    atomic_read(merges_in(mm)) == seen) {
		compat_area_flags(vma, advised ? VM_HUGEPAGE : 0, VM_NOHUGEPAGE);
		r = 1;
	}
	stats_lock_held(ktime_get_ns() - locked);
	mmap_write_unlock(mm);
	return r;
}

/* The next area from @address on that lies in what is noted. Returns 1, 0 if there is none, -EINTR. */
static int next_forbidden(struct mm_struct *mm, const struct note *note, unsigned long address,
			  unsigned long *ret_start, unsigned long *ret_end)
{
	struct vm_area_struct *vma;
	int r = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = find_vma(mm, address);
	while (vma && vma->vm_end <= note->end && (vma->vm_start < note->start || !is_forbidden(vma)))
		vma = find_vma(mm, vma->vm_end);
	if (vma && vma->vm_end <= note->end) {
		*ret_start = vma->vm_start;
		*ret_end = vma->vm_end;
		r = 1;
	}
	mmap_read_unlock(mm);
	return r;
}

/* Returns 1 if nothing that is noted remains to be undone, 0 if something does, -EINTR. */
static int undo(struct mm_struct *mm, const struct note *note)
{
	unsigned long at = note->start, next;
	bool all = true;
	int r;

	while ((r = next_forbidden(mm, note, at, &at, &next)) > 0) {
		r = allow_in(mm, at, next, note->advised);
		if (r < 0)
			break;
		all &= r;
		at = next;
	}
	return r < 0 ? r : all;
}

/**
 * area_allow_huge() - undo area_forbid_huge()
 * @target: who remembers what was set
 * @mm: its memory, not locked
 * @start: of the range that was unmerged
 * @end: of the range that was unmerged
 *
 * For areas whose end lies in the range. Those with merged pages stay as they are: khugepaged
 * could have looked before those were merged.
 *
 * Return: 0 or -EINTR.
 */
int area_allow_huge(struct target *target, struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct notes kept = {};
	struct note *note;
	int r = 0;

	while (r >= 0 && (note = notes_take(&target->notes, start, end))) {
		r = undo(mm, note);
		if (r > 0)
			kfree(note);
		else
			notes_put(&kept, note);
	}
	while ((note = notes_take(&kept, 0, ULONG_MAX)))
		notes_put(&target->notes, note);
	return min(r, 0);
}
