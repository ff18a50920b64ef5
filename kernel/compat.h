/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs from kernel to kernel. The only place where versions are asked for.
 */
#ifndef MERGEMOD_COMPAT_H
#define MERGEMOD_COMPAT_H

#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/percpu_counter.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/version.h>
#include <linux/vmstat.h>

/*
 * Before these, migrate_vma_finalize() put pages on the LRU that it was about to free
 * (CVE-2025-21861), and freeing a page that was locked was a "bad page state"
 * (CVE-2024-53105).
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 155)
#error "mergemod needs Linux 6.1.155 or later"
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 17)
#error "mergemod needs Linux 6.12.17 or later, or a late 6.1"
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 5)
#error "mergemod needs Linux 6.13.5 or later, or a late 6.12"
#endif

/* Elsewhere page tables may want more than set_pte_at(), or zero pages may not be shared. */
#if !defined(CONFIG_X86_64) && !defined(CONFIG_ARM64)
#error "mergemod is for x86-64 and arm64"
#endif
#if !defined(CONFIG_MIGRATION) || !defined(CONFIG_ARCH_HAS_PTE_SPECIAL)
#error "mergemod needs page migration and special page table entries"
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
#include <linux/leafops.h>
#define COMPAT_LEAFOPS
#endif

/* Without this, every process may have the zero page. */
#ifndef mm_forbids_zeropage
#define mm_forbids_zeropage(mm) 0
#endif

/* Kinds of areas that not every kernel knows. */
#ifndef VM_DROPPABLE
#define VM_DROPPABLE VM_NONE
#endif
#ifndef VM_SHADOW_STACK
#define VM_SHADOW_STACK VM_NONE
#endif

/**
 * compat_area_flags() - change flags of an area
 * @vma: the area, its mm locked for writing
 * @set: flags to set
 * @clear: flags to clear
 */
static inline void compat_area_flags(struct vm_area_struct *vma, unsigned long set, unsigned long clear)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/**
 * compat_area_lock() - keep page faults out of an area
 * @vma: the area, its mm locked for writing
 *
 * Where areas have locks of their own, faults do not take the mm's.
 */
static inline void compat_area_lock(struct vm_area_struct *vma)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	vma_start_write(vma);
#endif
}

/**
 * compat_frozen_page() - the page that a migration entry stands for
 * @pte: what the page table holds
 *
 * Return: the page, NULL if it is something else.
 */
static inline struct page *compat_frozen_page(pte_t pte)
{
	if (pte_none(pte) || pte_present(pte))
		return NULL;
#ifdef COMPAT_LEAFOPS
	{
		softleaf_t entry = softleaf_from_pte(pte);

		return softleaf_is_migration(entry) ? softleaf_to_page(entry) : NULL;
	}
#else
	{
		swp_entry_t entry = pte_to_swp_entry(pte);

		return is_migration_entry(entry) ? pfn_swap_entry_to_page(entry) : NULL;
	}
#endif
}

/**
 * compat_frozen_exclusive() - was a frozen page mapped by this entry alone?
 * @pte: the migration entry of an anonymous page
 */
static inline bool compat_frozen_exclusive(pte_t pte)
{
#ifdef COMPAT_LEAFOPS
	softleaf_t entry = softleaf_from_pte(pte);

	return softleaf_is_migration_write(entry) || softleaf_is_migration_read_exclusive(entry);
#else
	swp_entry_t entry = pte_to_swp_entry(pte);

	return is_writable_migration_entry(entry) || is_readable_exclusive_migration_entry(entry);
#endif
}

/**
 * compat_swp_uffd() - is a non-present entry marked by userfaultfd?
 * @pte: the entry
 */
static inline bool compat_swp_uffd(pte_t pte)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
	return pte_swp_uffd(pte);
#else
	return pte_swp_uffd_wp(pte);
#endif
}

/**
 * compat_rss_add() - correct a counter of resident pages
 * @mm: whose
 * @member: MM_ANONPAGES or MM_FILEPAGES
 * @value: what to add
 *
 * As add_mm_counter(), whose trace point is not exported.
 */
static inline void compat_rss_add(struct mm_struct *mm, int member, long value)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	percpu_counter_add(&mm->rss_stat[member], value);
#else
	atomic_long_add(value, &mm->rss_stat.count[member]);
#endif
}

/**
 * compat_fault_write() - let a process have a page of its own
 * @mm: of the process, locked for reading
 * @address: of the page
 * @locked: set to 0 if the lock was dropped
 *
 * Return: 1, or a negative errno.
 */
static inline long compat_fault_write(struct mm_struct *mm, unsigned long address, int *locked)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	return get_user_pages_remote(mm, address, 1, FOLL_WRITE | FOLL_FORCE, NULL, locked);
#else
	return get_user_pages_remote(mm, address, 1, FOLL_WRITE | FOLL_FORCE, NULL, NULL, locked);
#endif
}

/**
 * compat_mapcount() - how often a page is mapped
 * @page: the page
 *
 * As in /proc/kpagecount. Where the kernel does not count that for parts of a larger page it
 * is the average.
 */
static inline int compat_mapcount(struct page *page)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	int r = atomic_read(&page->_mapcount) + 1, whole;
	struct folio *folio = page_folio(page);

	if (!folio_test_large(folio))
		return r;
	whole = folio_entire_mapcount(folio);
	if (!IS_ENABLED(CONFIG_NO_PAGE_MAPCOUNT))
		return r + whole;
	r = folio_mapcount(folio) - whole;
	if (r <= 0)
		return whole;
	return whole + max_t(int, DIV_ROUND_CLOSEST(r, folio_nr_pages(folio)), !whole);
#else
	return page_mapcount(page);
#endif
}

typedef unsigned long (*compat_shrink_t)(struct shrinker *shrinker, struct shrink_control *control);

/**
 * compat_shrinker_register() - have memory pressure call back
 * @ret: the shrinker
 * @count: how much there is to give back
 * @scan: gives it back
 *
 * Return: 0 or a negative errno.
 */
static inline int compat_shrinker_register(struct shrinker **ret, compat_shrink_t count,
					   compat_shrink_t scan)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	struct shrinker *shrinker = shrinker_alloc(0, "mergemod");

	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	*ret = shrinker;
	return 0;
#else
	static struct shrinker shrinker = { .seeks = DEFAULT_SEEKS };
	int r;

	shrinker.count_objects = count;
	shrinker.scan_objects = scan;
	r = register_shrinker(&shrinker, "mergemod");
	if (r)
		return r;
	*ret = &shrinker;
	return 0;
#endif
}

/**
 * compat_shrinker_unregister() - no more calls
 * @shrinker: from compat_shrinker_register()
 */
static inline void compat_shrinker_unregister(struct shrinker *shrinker)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker_free(shrinker);
#else
	unregister_shrinker(shrinker);
#endif
}

#endif
