/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_PAGE_H
#define MERGEMOD_PAGE_H

#include <linux/mm.h>

#define SAMPLE_LINES 4
#define LINE_BYTES 64

/**
 * struct page_sample - some bytes of a page
 * @lines: one of every part of it
 */
struct page_sample {
	u8 lines[SAMPLE_LINES][LINE_BYTES];
};

bool page_is_merged(struct page *page);
int page_check(struct page *page);
bool page_is_zeros(struct page *page);
bool page_equal(struct page *a, struct page *b);
u64 page_hash(struct page *page, u64 seed);
u64 page_sample(struct page *page, u64 seed, struct page_sample *sample);

#endif
