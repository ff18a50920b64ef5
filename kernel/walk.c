// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables, by hand: the kernel's walkers are not exported to modules, and the one
 * that is, apply_to_page_range(), creates what it does not find.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>

#include "compat.h"
#include "page.h"
#include "walk.h"

/*
 * The entry above @address, or NULL if there is none; then *@next is where to look next.
 */
static pmd_t *find_pmd(struct mm_struct *mm, unsigned long address, unsigned long end, unsigned long *next)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pud;

	*next = pgd_addr_end(address, end);
	if (pgd_none(*pgd) || pgd_bad(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, address);
	*next = p4d_addr_end(address, end);
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	*next = pud_addr_end(address, end);
	if (pud_none(*pud) || pud_bad(*pud))
		return NULL;
	*next = pmd_addr_end(address, end);
	return pmd_offset(pud, address);
}

/**
 * walk_pmd() - the page middle directory's entry for an address
 * @mm: whose, locked
 * @address: where
 *
 * Return: the entry, or NULL.
 */
pmd_t *walk_pmd(struct mm_struct *mm, unsigned long address)
{
	unsigned long next;

	return find_pmd(mm, address, address + PAGE_SIZE, &next);
}

static unsigned int gather_huge(struct vm_area_struct *vma, pmd_t *pmd, unsigned long *address,
				unsigned long end, struct mapping *mappings, unsigned int n_max)
{
	unsigned int n = 0;
	struct page *page;
	spinlock_t *ptl;

	ptl = pmd_lock(vma->vm_mm, pmd);
	if (pmd_present(*pmd) && pmd_trans_huge(*pmd)) {
		page = pmd_page(*pmd);
		for (; *address < end && n < n_max; *address += PAGE_SIZE) {
			struct page *part = page + ((*address & ~PMD_MASK) >> PAGE_SHIFT);

			/* In an anonymous area this is the huge zero page. */
			if (!folio_test_anon(page_folio(page)) && vma_is_anonymous(vma))
				part = NULL;
			else
				get_page(part);
			mappings[n++] = (struct mapping){
				.address = *address,
				.page = part,
				.present = true,
				.huge = true,
			};
		}
	}
	spin_unlock(ptl);
	return n;
}

static bool map_entry(pte_t pte, unsigned long address, struct mapping *ret)
{
	struct page *page = NULL;

	if (!pte_present(pte))
		return false;
	if (!is_zero_pfn(pte_pfn(pte))) {
		if (pte_special(pte) || !pfn_valid(pte_pfn(pte)))
			return false;
		page = pte_page(pte);
		if (is_zone_device_page(page))
			return false;
		get_page(page);
	}
	*ret = (struct mapping){ .address = address, .page = page, .present = true };
	return true;
}

/**
 * walk_lock_table() - lock a page table
 * @mm: whose, locked
 * @pmd: the entry above it
 * @address: of a page
 * @ret_ptl: for walk_unlock_table()
 *
 * Newer kernels free empty tables while others hold the mm's lock for reading too. They do
 * so after a grace period, which must not begin before the entry above was read; and under
 * the table's lock, where it can be seen that the table is no longer the one found.
 *
 * The entry above also changes where reclaim notes that the table was used; then it is read
 * again.
 *
 * Return: the entry for @address; NULL if there is no table, or no longer; then nothing is
 * locked.
 */
pte_t *walk_lock_table(struct mm_struct *mm, pmd_t *pmd, unsigned long address, spinlock_t **ret_ptl)
{
	spinlock_t *ptl;
	pmd_t seen;

	rcu_read_lock();
	for (;;) {
		seen = READ_ONCE(*pmd);
		if (pmd_none(seen) || !pmd_present(seen) || pmd_trans_huge(seen) || pmd_bad(seen))
			break;
		ptl = pte_lockptr(mm, &seen);
		spin_lock(ptl);
		if (pmd_same(seen, READ_ONCE(*pmd))) {
			*ret_ptl = ptl;
			return pte_offset_kernel(&seen, address);
		}
		spin_unlock(ptl);
	}
	rcu_read_unlock();
	return NULL;
}

/**
 * walk_unlock_table() - done with a page table
 * @ptl: from walk_lock_table()
 */
void walk_unlock_table(spinlock_t *ptl)
{
	spin_unlock(ptl);
	rcu_read_unlock();
}

static unsigned int gather_table(struct mm_struct *mm, pmd_t *pmd, unsigned long *address,
				 unsigned long end, struct mapping *mappings, unsigned int n_max)
{
	unsigned int n = 0;
	spinlock_t *ptl;
	pte_t *pte;

	pte = walk_lock_table(mm, pmd, *address, &ptl);
	if (!pte)
		return 0;
	for (; *address < end && n < n_max; *address += PAGE_SIZE, pte++)
		if (map_entry(ptep_get(pte), *address, &mappings[n]))
			n++;
	walk_unlock_table(ptl);
	return n;
}

/**
 * walk_gather() - the pages that are present in part of an area
 * @vma: the area, its mm locked
 * @address: in: where to start; out: where to go on
 * @end: where to stop
 * @mappings: array for what is found, each with a reference to its page
 * @n_max: its length
 *
 * Tables that are not there cost nothing; at most one page table is read per call, so that
 * the caller can look at signals and at who waits for the lock.
 *
 * Return: how many were found.
 */
unsigned int walk_gather(struct vm_area_struct *vma, unsigned long *address, unsigned long end,
			 struct mapping *mappings, unsigned int n_max)
{
	unsigned long next;
	unsigned int n;
	pmd_t *pmd, seen;

	pmd = find_pmd(vma->vm_mm, *address, end, &next);
	if (!pmd) {
		*address = next;
		return 0;
	}
	seen = READ_ONCE(*pmd);
	if (pmd_present(seen) && pmd_trans_huge(seen))
		n = gather_huge(vma, pmd, address, next, mappings, n_max);
	else
		n = gather_table(vma->vm_mm, pmd, address, next, mappings, n_max);
	/* What changed under the walk is passed over. */
	if (n < n_max)
		*address = next;
	return n;
}

static void pick_huge(struct vm_area_struct *vma, pmd_t *pmd, struct mapping *mappings, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		unsigned long address = mappings[i].address;

		gather_huge(vma, pmd, &address, address + PAGE_SIZE, &mappings[i], 1);
	}
}

static void pick_from_table(struct mm_struct *mm, pmd_t *pmd, struct mapping *mappings, unsigned int n)
{
	spinlock_t *ptl;
	pte_t *table;

	table = walk_lock_table(mm, pmd, mappings[0].address & PMD_MASK, &ptl);
	if (!table)
		return;
	for (unsigned int i = 0; i < n; i++) {
		unsigned long address = mappings[i].address;

		map_entry(ptep_get(table + pte_index(address)), address, &mappings[i]);
	}
	walk_unlock_table(ptl);
}

/**
 * walk_pick() - the pages at given addresses of an area
 * @vma: the area, its mm locked
 * @mappings: addresses; out: what is found there, each with a reference to its page
 * @n: how many, at least one
 *
 * As walk_gather() reads one page table. What is not found stays as it is.
 *
 * Return: how many from the first one on belong to that table.
 */
unsigned int walk_pick(struct vm_area_struct *vma, struct mapping *mappings, unsigned int n)
{
	unsigned long table = mappings[0].address & PMD_MASK;
	pmd_t *pmd = walk_pmd(vma->vm_mm, table), seen;
	unsigned int n_here = 1;

	while (n_here < n && (mappings[n_here].address & PMD_MASK) == table)
		n_here++;
	if (!pmd)
		return n_here;
	seen = READ_ONCE(*pmd);
	if (pmd_present(seen) && pmd_trans_huge(seen))
		pick_huge(vma, pmd, mappings, n_here);
	else
		pick_from_table(vma->vm_mm, pmd, mappings, n_here);
	return n_here;
}

/**
 * walk_release() - drop the references of walk_gather()
 * @mappings: the array
 * @n: how many were found
 */
void walk_release(struct mapping *mappings, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (mappings[i].page)
			put_page(mappings[i].page);
}

static bool entry_is_ready(pte_t pte)
{
	struct folio *folio;

	if (!pte_present(pte) || is_zero_pfn(pte_pfn(pte)) || pte_special(pte) || !pfn_valid(pte_pfn(pte)))
		return false;
	folio = page_folio(pte_page(pte));
	return folio_test_lru(folio) && !folio_test_large(folio);
}

/**
 * walk_count_ready() - how many pages of a run can be frozen at once
 * @vma: the area, its mm locked
 * @address: of the first
 * @n: how many there should be
 *
 * Those up to the first that is gone, that has to be split, or that is not on the LRU.
 */
unsigned int walk_count_ready(struct vm_area_struct *vma, unsigned long address, unsigned int n)
{
	unsigned long end = address + n * PAGE_SIZE, next;
	unsigned int n_ready = 0;
	spinlock_t *ptl;
	pte_t *entry;
	pmd_t *pmd;

	for (; address < end; address = next) {
		pmd = find_pmd(vma->vm_mm, address, end, &next);
		entry = pmd ? walk_lock_table(vma->vm_mm, pmd, address, &ptl) : NULL;
		if (!entry)
			break;
		while (address < next && entry_is_ready(ptep_get(entry))) {
			address += PAGE_SIZE;
			entry++;
			n_ready++;
		}
		walk_unlock_table(ptl);
		if (address < next)
			break;
	}
	return n_ready;
}

/**
 * walk_finds_huge() - is there a huge page in an area?
 * @vma: the area, its mm locked
 * @address: in: where to start; out: where to go on if none was found
 * @n_max: look at so many entries that can be huge
 */
bool walk_finds_huge(struct vm_area_struct *vma, unsigned long *address, unsigned int n_max)
{
	unsigned long next;
	pmd_t *pmd, seen;

	for (; *address < vma->vm_end && n_max; *address = next, n_max--) {
		pmd = find_pmd(vma->vm_mm, *address, vma->vm_end, &next);
		if (!pmd)
			continue;
		seen = READ_ONCE(*pmd);
		/* One that is being migrated is not present. */
		if (!pmd_none(seen) && (!pmd_present(seen) || pmd_trans_huge(seen)))
			return true;
	}
	return false;
}

static bool entry_is_merged(pte_t pte)
{
	if (!pte_present(pte) || is_zero_pfn(pte_pfn(pte)) || pte_special(pte) || !pfn_valid(pte_pfn(pte)))
		return false;
	return page_is_merged(pte_page(pte));
}

/**
 * walk_finds_merged() - is a shared frame mapped in an anonymous area?
 * @vma: the area, its mm locked
 * @address: in: where to start; out: where to go on if none was found
 * @n_max: look at so many page tables
 */
bool walk_finds_merged(struct vm_area_struct *vma, unsigned long *address, unsigned int n_max)
{
	bool found = false;
	unsigned long next;

	for (; *address < vma->vm_end && n_max && !found; *address = next, n_max--) {
		pmd_t *pmd = find_pmd(vma->vm_mm, *address, vma->vm_end, &next);
		unsigned long n = (next - *address) / PAGE_SIZE;
		spinlock_t *ptl;
		pte_t *entry;

		entry = pmd ? walk_lock_table(vma->vm_mm, pmd, *address, &ptl) : NULL;
		if (!entry)
			continue;
		for (unsigned long i = 0; i < n && !found; i++)
			found = entry_is_merged(ptep_get(&entry[i]));
		walk_unlock_table(ptl);
	}
	return found;
}
