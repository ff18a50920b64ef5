// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hashes of pages, as the interface defines them.
 */
#include <linux/bitops.h>
#include <linux/highmem.h>
#include <linux/prefetch.h>
#include <linux/string.h>
#include <linux/xxhash.h>

#include "hash.h"
#include "page.h"
#include "uapi/linux/mergemod.h"

static u64 hash_sample(struct hasher *hasher, const u8 *content)
{
	const size_t part = PAGE_SIZE / SAMPLE_LINES;

	for (unsigned int i = 0; i < SAMPLE_LINES; i++) {
		size_t line = (hasher->seed >> (16 * i)) % (part / LINE_BYTES);

		memcpy(hasher->sample[i], content + i * part + line * LINE_BYTES, LINE_BYTES);
	}
	return xxh64(hasher->sample, sizeof(hasher->sample), hasher->seed);
}

static u64 hash_addrothalf(const u64 *words, u64 hash)
{
	for (size_t i = 0; i < PAGE_SIZE / 2 / sizeof(*words); i++)
		hash = rol64(hash + words[i], 1);
	return hash;
}

/**
 * hash_init() - choose a hash
 * @hasher: for the other functions
 * @flags: the caller's, of which those count that say what to hash
 * @seed: the caller's
 *
 * Return: 0, or -EINVAL if it is more than one.
 */
int hash_init(struct hasher *hasher, u32 flags, u64 seed)
{
	hasher->flags = flags & (MERGEMOD_SCAN_SAMPLE | MERGEMOD_SCAN_ADDROTHALF | MERGEMOD_SCAN_CONST);
	hasher->seed = seed;
	if (hweight32(hasher->flags) > 1)
		return -EINVAL;
	hasher->of_zeros = hash_compute(hasher, ZERO_PAGE(0));
	return 0;
}

/**
 * hash_expect() - a page is going to be hashed next
 * @hasher: from hash_init()
 * @page: the page, NULL for the kernel's zero page
 *
 * Processors read ahead by themselves, but not from one page to the next.
 */
void hash_expect(const struct hasher *hasher, struct page *page)
{
	if (page && !(hasher->flags & (MERGEMOD_SCAN_SAMPLE | MERGEMOD_SCAN_CONST)) && !PageHighMem(page))
		prefetch_range(page_address(page), 4 * LINE_BYTES);
}

/**
 * hash_compute() - the hash of a page
 * @hasher: from hash_init()
 * @page: the page
 */
u64 hash_compute(struct hasher *hasher, struct page *page)
{
	const void *content;
	u64 hash;

	if (hasher->flags & MERGEMOD_SCAN_CONST)
		return hasher->seed;
	if (!hasher->flags)
		return page_hash(page, hasher->seed);
	content = kmap_local_page(page);
	if (hasher->flags & MERGEMOD_SCAN_SAMPLE)
		hash = hash_sample(hasher, content);
	else
		hash = hash_addrothalf(content, hasher->seed);
	kunmap_local(content);
	return hash;
}
