// SPDX-License-Identifier: GPL-2.0-only
/*
 * MERGEMOD_PAGES, MERGEMOD_HASH and MERGEMOD_SCAN: looking at pages.
 *
 * A page is looked at through its page table entry and a reference for as long as it takes.
 * That does not touch it in the sense of reclaim, and does not break sharing.
 */
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "area.h"
#include "compat.h"
#include "hash.h"
#include "page.h"
#include "session.h"
#include "stats.h"
#include "target.h"
#include "walk.h"

#define SCAN_BATCH 128
#define HASH_FLAGS											\
	(MERGEMOD_SCAN_SAMPLE | MERGEMOD_SCAN_ADDROTHALF | MERGEMOD_SCAN_CONST | MERGEMOD_SCAN_COUNT)
#define SCAN_FLAGS											\
	(MERGEMOD_SCAN_ZEROS | MERGEMOD_SCAN_MERGED | MERGEMOD_SCAN_HUGE | MERGEMOD_SCAN_FILE_AREA |	\
	 HASH_FLAGS)

struct scanner;
typedef bool (*wanted_t)(struct scanner *scanner, const struct mergemod_page *page);

/**
 * struct scanner - a call at work
 * @call: its argument
 * @use: the target
 * @wanted: which pages; NULL for all
 * @hashed: with hashes
 * @mappings: what a page table held
 * @pages: what is told of it
 * @n_pages: how many
 * @finds_zeros: says which pages are full of zeros
 * @hasher: for the hashes
 * @hash_count: for the counters
 */
struct scanner {
	struct mergemod_scan *call;
	struct target_use use;
	wanted_t wanted;
	bool hashed;
	struct mapping mappings[SCAN_BATCH];
	struct mergemod_page pages[SCAN_BATCH];
	unsigned int n_pages;
	bool finds_zeros;
	struct hasher hasher;
	unsigned long hash_count;
};

/**
 * struct area_kind - what remains to be known of an area when its mm is unlocked
 * @flags: MERGEMOD_PAGE_* that its pages have in common
 * @anonymous: a page that belongs to nothing is a shared frame; elsewhere a file lost it
 */
struct area_kind {
	u32 flags;
	bool anonymous;
};

static struct area_kind area_kind(struct vm_area_struct *vma)
{
	return (struct area_kind){
		.flags = (area_check(vma) ? MERGEMOD_PAGE_REFUSED : 0) |
			 (area_has_file_pages(vma) ? MERGEMOD_PAGE_FILE_AREA : 0),
		.anonymous = vma_is_anonymous(vma),
	};
}

static struct mergemod_page describe(const struct scanner *scanner, const struct mapping *mapping,
				     const struct area_kind *kind)
{
	struct mergemod_page ret = { .address = mapping->address, .flags = kind->flags };
	struct folio *folio;

	if (mapping->huge)
		ret.flags |= MERGEMOD_PAGE_HUGE;
	if (!mapping->page) {
		ret.flags |= MERGEMOD_PAGE_ZERO;
		return ret;
	}

	folio = page_folio(mapping->page);
	ret.frame = page_to_pfn(mapping->page);
	if (folio_test_ksm(folio))
		ret.flags |= MERGEMOD_PAGE_KSM;
	else if (kind->anonymous && page_is_merged(mapping->page))
		ret.flags |= MERGEMOD_PAGE_MERGED;
	else if (!folio_test_anon(folio))
		ret.flags |= MERGEMOD_PAGE_FILE;
	if (folio_test_large(folio))
		ret.flags |= MERGEMOD_PAGE_HUGE;
	else if (atomic_read(&mapping->page->_mapcount) > 0)
		ret.flags |= MERGEMOD_PAGE_SHARED;
	if (scanner->call->flags & MERGEMOD_SCAN_COUNT)
		ret.status = max(compat_mapcount(mapping->page), 0);
	return ret;
}

/*
 * Pages that MERGE refuses are read in private file mappings only, for KSM. Others may not
 * even be in the kernel's own page tables, as those of memfd_secret().
 */
static bool area_is_read(u32 area)
{
	return !(area & MERGEMOD_PAGE_REFUSED) || area & MERGEMOD_PAGE_FILE_AREA;
}

static bool scan_wants_area(const struct scanner *scanner, u32 area)
{
	return area_is_read(area) &&
	       (!(area & MERGEMOD_PAGE_REFUSED) || scanner->call->flags & MERGEMOD_SCAN_FILE_AREA);
}

static bool scan_wants(struct scanner *scanner, const struct mergemod_page *page)
{
	u32 flags = scanner->call->flags;

	if (page->flags & MERGEMOD_PAGE_FILE)
		return false;
	if (page->flags & (MERGEMOD_PAGE_MERGED | MERGEMOD_PAGE_KSM | MERGEMOD_PAGE_ZERO) &&
	    !(flags & MERGEMOD_SCAN_MERGED))
		return false;
	if (page->flags & MERGEMOD_PAGE_HUGE && !(flags & MERGEMOD_SCAN_HUGE))
		return false;
	return true;
}

static void add_hash(struct scanner *scanner, struct mergemod_page *page, struct page *content)
{
	if (!content || (scanner->finds_zeros && page_is_zeros(content)))
		page->flags |= MERGEMOD_PAGE_ZEROS;
	page->hash = page->flags & MERGEMOD_PAGE_ZEROS ? scanner->hasher.of_zeros :
							 hash_compute(&scanner->hasher, content);
	scanner->hash_count++;
}

/* To read it may be the end of the system. */
static bool is_broken(const struct mapping *mapping)
{
	return mapping->page && PageHWPoison(mapping->page);
}

static void take_page(struct scanner *scanner, const struct mapping *mapping, const struct area_kind *kind)
{
	struct mergemod_page page = describe(scanner, mapping, kind);

	if (scanner->wanted && !scanner->wanted(scanner, &page))
		return;
	if (scanner->hashed && is_broken(mapping))
		return;
	if (scanner->hashed)
		add_hash(scanner, &page, mapping->page);
	if (page.flags & MERGEMOD_PAGE_ZEROS && scanner->wanted &&
	    !(scanner->call->flags & MERGEMOD_SCAN_ZEROS))
		return;
	scanner->pages[scanner->n_pages++] = page;
}

/* One page table, or part of it; moves on the start of what is left. */
static int scan_some(struct scanner *scanner)
{
	struct mergemod_scan *call = scanner->call;
	struct mm_struct *mm = scanner->use.mm;
	unsigned long address = call->start;
	struct vm_area_struct *vma;
	struct area_kind kind = {};
	unsigned int n = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = find_vma(mm, address);
	if (!vma || vma->vm_start >= call->end) {
		address = call->end;
	} else {
		kind = area_kind(vma);
		address = max(address, vma->vm_start);
		if (!area_is_walked(vma) || (scanner->wanted && !scan_wants_area(scanner, kind.flags)))
			address = min_t(unsigned long, vma->vm_end, call->end);
		else
			n = walk_gather(vma, &address, min_t(unsigned long, vma->vm_end, call->end),
					scanner->mappings,
					min_t(u32, call->n_pages - call->done, SCAN_BATCH));
	}
	mmap_read_unlock(mm);

	scanner->n_pages = 0;
	for (unsigned int i = 0; i < n; i++)
		take_page(scanner, &scanner->mappings[i], &kind);
	walk_release(scanner->mappings, n);
	call->start = address;
	return 0;
}

static int report(struct scanner *scanner)
{
	struct mergemod_page __user *user = u64_to_user_ptr(scanner->call->pages);

	if (copy_to_user(user + scanner->call->done, scanner->pages,
			 scanner->n_pages * sizeof(*scanner->pages)))
		return -EFAULT;
	scanner->call->done += scanner->n_pages;
	return 0;
}

static int scan_range(struct scanner *scanner)
{
	struct mergemod_scan *call = scanner->call;
	u64 start = call->start;
	int r = 0;

	while (!r && call->start < call->end && call->done < call->n_pages) {
		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}
		r = scan_some(scanner) ?: report(scanner);
		cond_resched();
	}
	return call->start > start && r == -EINTR ? 0 : r;
}

/* Returns how many pages it was. Those that are there have a status that is not negative. */
static unsigned int look_from(struct scanner *scanner, unsigned int first)
{
	struct mergemod_page *pages = &scanner->pages[first];
	struct mapping *mappings = &scanner->mappings[first];
	unsigned int n = 0, n_max = scanner->n_pages - first;
	struct vm_area_struct *vma;
	struct area_kind kind;

	vma = find_vma(scanner->use.mm, pages[0].address);
	while (vma && n < n_max && vma->vm_start <= pages[n].address && pages[n].address < vma->vm_end &&
	       PAGE_ALIGNED(pages[n].address))
		n++;
	if (!n)
		return 1;
	kind = area_kind(vma);
	if (!area_is_walked(vma) || !area_is_read(kind.flags))
		return n;
	for (unsigned int i = 0; i < n;)
		i += walk_pick(vma, &mappings[i], n - i);
	for (unsigned int i = 0; i < n; i++)
		if (mappings[i].present && !is_broken(&mappings[i]))
			pages[i] = describe(scanner, &mappings[i], &kind);
	return n;
}

static int hash_some(struct scanner *scanner)
{
	unsigned int n = scanner->n_pages;

	for (unsigned int i = 0; i < n; i++) {
		u64 address = scanner->pages[i].address;

		scanner->pages[i] = (struct mergemod_page){ .address = address, .status = -ENODATA };
		scanner->mappings[i] = (struct mapping){ .address = address };
	}

	if (mmap_read_lock_killable(scanner->use.mm))
		return -EINTR;
	for (unsigned int i = 0; i < n;)
		i += look_from(scanner, i);
	mmap_read_unlock(scanner->use.mm);

	for (unsigned int i = 0; i < n; i++) {
		if (i + 1 < n && scanner->pages[i + 1].status >= 0)
			hash_expect(&scanner->hasher, scanner->mappings[i + 1].page);
		if (scanner->pages[i].status >= 0)
			add_hash(scanner, &scanner->pages[i], scanner->mappings[i].page);
	}
	walk_release(scanner->mappings, n);
	return 0;
}

static int hash_batch(struct scanner *scanner)
{
	struct mergemod_page __user *user = u64_to_user_ptr(scanner->call->pages);

	scanner->n_pages = min_t(u32, scanner->call->n_pages - scanner->call->done, SCAN_BATCH);
	if (copy_from_user(scanner->pages, user + scanner->call->done,
			   scanner->n_pages * sizeof(*scanner->pages)))
		return -EFAULT;
	return hash_some(scanner) ?: report(scanner);
}

static int hash_all(struct scanner *scanner)
{
	struct mergemod_scan *call = scanner->call;
	int r = 0;

	while (!r && call->done < call->n_pages) {
		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}
		r = hash_batch(scanner);
		cond_resched();
	}
	return call->done && r == -EINTR ? 0 : r;
}

typedef int (*work_t)(struct scanner *scanner);

static int run(struct session *session, struct mergemod_scan *call, bool hashed, wanted_t wanted,
	       work_t work)
{
	struct scanner *scanner;
	int r;

	if (!call->n_pages || call->n_pages > MERGEMOD_ELEMENTS_MAX)
		return -EINVAL;
	scanner = kvzalloc(sizeof(*scanner), GFP_KERNEL);
	if (!scanner)
		return -ENOMEM;
	scanner->call = call;
	scanner->hashed = hashed;
	scanner->wanted = wanted;
	scanner->finds_zeros = wanted || !(call->flags & HASH_FLAGS & ~MERGEMOD_SCAN_COUNT);
	call->done = 0;

	r = hashed ? hash_init(&scanner->hasher, call->flags, call->seed) : 0;
	if (!r)
		r = target_enter(&session->targets, call->target, NULL, &scanner->use);
	if (!r) {
		r = work(scanner);
		target_leave(&scanner->use);
	}
	stats_add(STAT_HASHED, scanner->hash_count);
	kvfree(scanner);
	return r;
}

static bool is_range(const struct mergemod_scan *call)
{
	return call->start < call->end && call->end <= TASK_SIZE_MAX &&
	       PAGE_ALIGNED(call->start | call->end);
}

/**
 * pages_call() - MERGEMOD_PAGES
 * @session: whose call
 * @call: its argument
 *
 * Return: 0 or a negative errno, see the interface.
 */
int pages_call(struct session *session, struct mergemod_scan *call)
{
	if (call->flags & ~MERGEMOD_SCAN_COUNT || call->seed || !is_range(call))
		return -EINVAL;
	return run(session, call, false, NULL, scan_range);
}

/**
 * hash_call() - MERGEMOD_HASH
 * @session: whose call
 * @call: its argument
 *
 * Return: 0 or a negative errno, see the interface.
 */
int hash_call(struct session *session, struct mergemod_scan *call)
{
	if (call->flags & ~HASH_FLAGS || call->start || call->end)
		return -EINVAL;
	return run(session, call, true, NULL, hash_all);
}

/**
 * scan_call() - MERGEMOD_SCAN
 * @session: whose call
 * @call: its argument
 *
 * Return: 0 or a negative errno, see the interface.
 */
int scan_call(struct session *session, struct mergemod_scan *call)
{
	if (call->flags & ~SCAN_FLAGS || !is_range(call))
		return -EINVAL;
	return run(session, call, true, scan_wants, scan_range);
}
