/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_WALK_H
#define MERGEMOD_WALK_H

#include <linux/mm.h>

/**
 * struct mapping - what a page table holds at an address
 * @address: where
 * @page: the page, with a reference; NULL for the kernel's zero page
 * @present: there is a page
 * @huge: mapped by a huge entry
 */
struct mapping {
	unsigned long address;
	struct page *page;
	bool present;
	bool huge;
};

unsigned int walk_gather(struct vm_area_struct *vma, unsigned long *address, unsigned long end,
			 struct mapping *mappings, unsigned int n_max);
unsigned int walk_pick(struct vm_area_struct *vma, struct mapping *mappings, unsigned int n);
void walk_release(struct mapping *mappings, unsigned int n);
unsigned int walk_count_ready(struct vm_area_struct *vma, unsigned long address, unsigned int n);
bool walk_finds_huge(struct vm_area_struct *vma, unsigned long *address, unsigned int n_max);
bool walk_finds_merged(struct vm_area_struct *vma, unsigned long *address, unsigned int n_max);
pmd_t *walk_pmd(struct mm_struct *mm, unsigned long address);
pte_t *walk_lock_table(struct mm_struct *mm, pmd_t *pmd, unsigned long address, spinlock_t **ret_ptl);
void walk_unlock_table(spinlock_t *ptl);

#endif
