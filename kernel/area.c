// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which areas are merged, and the huge pages in them.
 */
#include <linux/mm.h>
#include <linux/userfaultfd_k.h>

#include "area.h"
#include "compat.h"
#include "page.h"
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
 * @mode: what the caller wants
 *
 * Return: 0 if pages may be merged, -E2BIG if not, -ENOMEM.
 */
int area_forbid_huge(struct target *target, struct vm_area_struct *vma, enum mergemod_huge mode)
{
	int r;

	if (!area_gets_huge(vma))
		return 0;
	if (area_fits_huge(vma)) {
		if (mode == MERGEMOD_HUGE_KEEP)
			return -E2BIG;
		if (mode == MERGEMOD_HUGE_AUTO && walk_finds_huge(vma))
			return -E2BIG;
	}

	r = notes_add(&target->notes, vma->vm_start, vma->vm_end, vma->vm_flags & VM_HUGEPAGE);
	if (r)
		return r;
	compat_area_flags(vma, VM_NOHUGEPAGE, VM_HUGEPAGE);
	return 0;
}

#define LOOKS 32

/* Others may have merged there since. */
static bool area_has_merged(struct vm_area_struct *vma)
{
	unsigned long address = vma->vm_start;
	struct mapping mappings[LOOKS];
	bool merged = false;

	while (address < vma->vm_end && !merged) {
		unsigned int n = walk_gather(vma, &address, vma->vm_end, mappings, LOOKS);

		for (unsigned int i = 0; i < n; i++)
			merged |= mappings[i].page && !mappings[i].huge && page_is_merged(mappings[i].page);
		walk_release(mappings, n);
	}
	return merged;
}

/**
 * area_allow_huge() - undo area_forbid_huge()
 * @target: who remembers what was set
 * @mm: its memory
 * @start: of the range that was unmerged
 * @end: of the range that was unmerged
 *
 * Areas that lie in the range only in part stay as they are, and so do those with merged pages:
 * khugepaged could have looked before those were merged.
 *
 * Return: 0 or -EINTR.
 */
int area_allow_huge(struct target *target, struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;
	struct note *note;

	if (!notes_has(&target->notes, start, end))
		return 0;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	while ((note = notes_take(&target->notes, start, end))) {
		for (vma = find_vma(mm, note->start); vma && vma->vm_end <= note->end;
		     vma = find_vma(mm, vma->vm_end))
			if (vma->vm_start >= note->start && vma->vm_flags & VM_NOHUGEPAGE &&
			    area_is_walked(vma) && !area_has_merged(vma))
				compat_area_flags(vma, note->advised ? VM_HUGEPAGE : 0, VM_NOHUGEPAGE);
		kfree(note);
	}
	mmap_write_unlock(mm);
	return 0;
}
