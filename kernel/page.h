/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_PAGE_H
#define MERGEMOD_PAGE_H

#include <linux/mm.h>

bool page_is_merged(struct page *page);
int page_check(struct page *page);
bool page_is_zeros(struct page *page);
bool page_equal(struct page *a, struct page *b);
u64 page_hash(struct page *page, u64 seed);

#endif
