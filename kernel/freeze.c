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
 * @freezer: for frozen_page() and frozen_replace(), and thaw() in any case
 * @vma: the area, its mm locked
 * @start: address of the first page
 * @n: how many, at most FREEZE_MAX
 *
 * Return: 0 or -EOPNOTSUPP; then there is nothing to thaw.
 */
int freeze(struct freezer *freezer, struct vm_area_struct *vma, unsigned long start, unsigned int n)
{
	memset(freezer->dst, 0, sizeof(freezer->dst));
	memset(freezer->frames, 0, sizeof(freezer->frames));
	freezer->n_free = 0;
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

/*
 * A frozen page that nobody maps any more is as good as free: the kernel would first put it
 * back on the LRU, and look for those that map it.
 */
static void frozen_take(struct freezer *freezer, unsigned int i)
{
	struct page *page = migrate_pfn_to_page(freezer->src[i]);
	struct folio *folio = page_folio(page);

	freezer->src[i] = 0;
	folio_clear_active(folio);
	folio_clear_unevictable(folio);
	folio_unlock(folio);
	freezer->free[freezer->n_free++] = page;
}

/* Returns the result for one page, see frozen_replace(). The table is locked. */
static int replace_at(struct freezer *freezer, unsigned int i, pte_t *entry)
{
	struct page *page = migrate_pfn_to_page(freezer->src[i]), *frame = freezer->frames[i];
	unsigned long address = freezer->args.start + i * PAGE_SIZE;
	struct vm_area_struct *vma = freezer->args.vma;
	pte_t old = ptep_get(entry), new;

	if (compat_frozen_page(old) != page || compat_swp_uffd(old))
		return -EAGAIN;
	new = is_zero_pfn(page_to_pfn(frame)) ? map_zero(vma, address) : map_frame(vma, frame);
	if (pte_swp_soft_dirty(old))
		new = pte_mksoft_dirty(new);
	compat_rss_add(vma->vm_mm, MM_ANONPAGES, -1);
	set_pte_at(vma->vm_mm, address, entry, new);
	update_mmu_cache(vma, address, entry);
	return compat_frozen_exclusive(old) && !folio_test_swapcache(page_folio(page));
}

/* In one page table. Returns how many pages that was. */
static unsigned int replace_from(struct freezer *freezer, unsigned int first)
{
	unsigned long address = freezer->args.start + first * PAGE_SIZE;
	unsigned long end = pmd_addr_end(address, freezer->args.end);
	unsigned int n = (end - address) / PAGE_SIZE;
	struct mm_struct *mm = freezer->args.vma->vm_mm;
	pmd_t *pmd = walk_pmd(mm, address);
	pte_t *entry = NULL;
	spinlock_t *ptl;

	if (pmd)
		entry = walk_lock_table(mm, pmd, address, &ptl);
	for (unsigned int i = 0; i < n; i++)
		freezer->results[first + i] = entry && freezer->frames[first + i] ?
					      replace_at(freezer, first + i, entry + i) : -EAGAIN;
	if (entry)
		walk_unlock_table(ptl);

	for (unsigned int i = first; i < first + n; i++)
		if (freezer->results[i] > 0)
			frozen_take(freezer, i);
	return n;
}

/**
 * frozen_replace() - let the page table point to shared frames instead
 * @freezer: from freeze(); in @frames what has the same bytes as pages that frozen_page() gave
 *
 * There is no moment without an entry. The results are 0; 1 if nobody else had the frozen page,
 * so that thaw() frees it; or -EAGAIN if it is not the frozen page any more that is there.
 */
void frozen_replace(struct freezer *freezer)
{
	for (unsigned int i = 0; i < freezer->args.npages;)
		i += replace_from(freezer, i);
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
	release_pages(freezer->free, freezer->n_free);
}
