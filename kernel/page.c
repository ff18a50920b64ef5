// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single pages: whether one may be merged, and what is in it.
 */
#include <linux/highmem.h>
#include <linux/memremap.h>
#include <linux/page-flags.h>
#include <linux/string.h>
#include <linux/xxhash.h>

#include "page.h"

/**
 * page_is_merged() - is it a shared frame?
 * @page: a page that an anonymous area maps
 *
 * Also one of a module that was unloaded since. No other page in an anonymous area belongs
 * neither to the area nor to a file.
 */
bool page_is_merged(struct page *page)
{
	return !READ_ONCE(page_folio(page)->mapping) && !folio_test_large(page_folio(page));
}

/**
 * page_check() - may a page be merged?
 * @page: one that an area maps which may be merged
 *
 * A page that is not on the LRU would have migrate_vma_setup() empty the lists of all CPUs
 * while we hold a lock: milliseconds.
 *
 * Return: 0 or the status for the caller.
 */
int page_check(struct page *page)
{
	struct folio *folio = page_folio(page);

	if (page_is_merged(page) || folio_test_ksm(folio))
		return -EALREADY;
	if (!folio_test_anon(folio) || folio_is_zone_device(folio))
		return -EMEDIUMTYPE;
	if (folio_test_large(folio))
		return -E2BIG;
	if (PageHWPoison(page))
		return -EHWPOISON;
	if (!folio_test_swapbacked(folio) || !folio_test_uptodate(folio) || folio_test_writeback(folio) ||
	    !folio_test_lru(folio))
		return -EAGAIN;
	return 0;
}

/**
 * page_is_zeros() - is it full of zeros?
 * @page: the page
 */
bool page_is_zeros(struct page *page)
{
	const u64 *words = kmap_local_page(page);
	/* Most pages that are not show it at once. */
	bool zeros = !words[0] && !memchr_inv(words, 0, PAGE_SIZE);

	kunmap_local(words);
	return zeros;
}

/* Where memcmp() is a simple loop this is twice as fast. */
static bool words_equal(const u64 *a, const u64 *b)
{
	for (const u64 *end = a + PAGE_SIZE / sizeof(*a); a < end; a += 4, b += 4)
		if ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]))
			return false;
	return true;
}

/**
 * page_equal() - have two pages the same bytes?
 * @a: one
 * @b: other
 */
bool page_equal(struct page *a, struct page *b)
{
	void *content_a = kmap_local_page(a);
	void *content_b = kmap_local_page(b);
	bool equal = words_equal(content_a, content_b);

	kunmap_local(content_b);
	kunmap_local(content_a);
	return equal;
}

/**
 * page_hash() - XXH64 of all bytes
 * @page: the page
 * @seed: the caller's
 */
u64 page_hash(struct page *page, u64 seed)
{
	void *content = kmap_local_page(page);
	u64 hash = xxh64(content, PAGE_SIZE, seed);

	kunmap_local(content);
	return hash;
}
