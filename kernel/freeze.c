// SPDX-License-Identifier: GPL-2.0-only
/*
 * Freezing pages, and letting a page table point to a shared frame instead.
 *
 * The kernel's means to move memory to devices does what is needed: it takes pages off the
 * LRU, locks them, puts migration entries in their place in all page tables, tells the MMU
 * notifiers, and gives up on pages that anybody else has a reference to. Who touches such a
 * page then waits for the page's lock. That is also why all locks are taken before: he may
 * wait with the mm's lock, or the area's, in his hands, and so must not be waited for.
 *
 * No function that flushes a TLB is exported. None is needed as long as entries only ever
 * change from not present to present.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/vmstat.h>

#include "compat.h"
#include "freeze.h"
#include "page.h"
#include "walk.h"

/**
 * freeze() - freeze what can be frozen of a run of pages
 * @freezer: for frozen_page(), and thaw() in any case
 * @vma: the area, its mm locked
 * @start: address of the first page
 * @n: how many, at most FREEZE_MAX
 *
 * Return: 0 or -EOPNOTSUPP; then there is nothing to thaw.
 */
int freeze(struct freezer *freezer, struct vm_area_struct *vma, unsigned long start, unsigned int n)
{
	memset(freezer->dst, 0, sizeof(freezer->dst));
	freezer->args = (struct migrate_vma){
		.vma = vma,
		.start = start,
		.end = start + n * PAGE_SIZE,
		.src = freezer->src,
		.dst = freezer->dst,
		.flags = MIGRATE_VMA_SELECT_SYSTEM,
		/* No driver may take the notification for one of his own. */
		.pgmap_owner = THIS_MODULE,
	};
	return migrate_vma_setup(&freezer->args) ? -EOPNOTSUPP : 0;
}

/**
 * frozen_page() - a page that was frozen
 * @freezer: from freeze()
 * @i: which of the run
 *
 * Return: the page, or NULL if it was not frozen or is of a kind that is not merged.
 */
struct page *frozen_page(const struct freezer *freezer, unsigned int i)
{
	struct page *page;
	struct folio *folio;

	if (i >= freezer->args.npages || !(freezer->src[i] & MIGRATE_PFN_MIGRATE))
		return NULL;
	page = migrate_pfn_to_page(freezer->src[i]);
	if (!page)
		return NULL;
	folio = page_folio(page);
	if (PageHWPoison(page))
		return NULL;
	if (folio_test_large(folio) || folio_test_ksm(folio) || !folio_test_anon(folio) ||
	    !folio_test_swapbacked(folio) || !folio_test_uptodate(folio) || folio_test_writeback(folio) ||
	    folio_is_zone_device(folio))
		return NULL;
	return page;
}

/*
 * What fork, zap and a write fault expect of a page of a file that is privately mapped:
 * a reference, a mapping counted in the page, the node or cgroup, and the mm.
 */
static pte_t map_frame(struct vm_area_struct *vma, struct page *frame)
{
	get_page(frame);
	if (atomic_inc_and_test(&frame->_mapcount))
		lruvec_stat_mod_folio(page_folio(frame), NR_FILE_MAPPED, 1);
	compat_rss_add(vma->vm_mm, MM_FILEPAGES, 1);
	return pte_wrprotect(mk_pte(frame, vma->vm_page_prot));
}

/* Clean: KSM knows its own by the dirty bit. */
static pte_t map_zero(struct vm_area_struct *vma, unsigned long address)
{
	return pte_wrprotect(pte_mkspecial(mk_pte(ZERO_PAGE(address), vma->vm_page_prot)));
}

/**
 * frozen_replace() - let the page table point to a shared frame instead
 * @freezer: from freeze()
 * @i: which of the run: one that frozen_page() gave
 * @frame: what to map, of the same bytes; NULL for the zero page
 *
 * There is no moment without an entry.
 *
 * Return: 0, or -EAGAIN if it is not the frozen page any more that is there.
 */
int frozen_replace(const struct freezer *freezer, unsigned int i, struct page *frame)
{
	struct vm_area_struct *vma = freezer->args.vma;
	unsigned long address = freezer->args.start + i * PAGE_SIZE;
	pte_t *entry, old, new;
	spinlock_t *ptl;
	pmd_t *pmd;
	int r = -EAGAIN;

	pmd = walk_pmd(vma->vm_mm, address);
	if (!pmd)
		return -EAGAIN;
	entry = walk_lock_table(vma->vm_mm, pmd, address, &ptl);
	if (!entry)
		return -EAGAIN;
	old = ptep_get(entry);
	if (compat_frozen_page(old) != migrate_pfn_to_page(freezer->src[i]) || compat_swp_uffd(old))
		goto unlock;
	new = frame ? map_frame(vma, frame) : map_zero(vma, address);
	if (pte_swp_soft_dirty(old))
		new = pte_mksoft_dirty(new);
	compat_rss_add(vma->vm_mm, MM_ANONPAGES, -1);
	set_pte_at(vma->vm_mm, address, entry, new);
	update_mmu_cache(vma, address, entry);
	r = 0;
unlock:
	walk_unlock_table(ptl);
	return r;
}

/**
 * thaw() - put back what was not replaced, free what was
 * @freezer: from freeze()
 *
 * Puts back also what others had of a page that they share by fork.
 */
void thaw(struct freezer *freezer)
{
	migrate_vma_finalize(&freezer->args);
}
