/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_HASH_H
#define MERGEMOD_HASH_H

#include <linux/mm.h>

#define SAMPLE_LINES 4
#define LINE_BYTES 64

/**
 * struct hasher - a hash of pages, as a caller wants it
 * @flags: which, MERGEMOD_SCAN_*
 * @seed: the caller's
 * @of_zeros: that of a page of zeros
 * @sample: bytes of the page that is looked at
 */
struct hasher {
	u32 flags;
	u64 seed;
	u64 of_zeros;
	u8 sample[SAMPLE_LINES][LINE_BYTES];
};

int hash_init(struct hasher *hasher, u32 flags, u64 seed);
void hash_expect(const struct hasher *hasher, struct page *page);
u64 hash_compute(struct hasher *hasher, struct page *page);

#endif
