/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Keys of page contents. The seed is drawn anew every round, so that nobody can prepare pages that
 * collide. A collision costs a comparison in the kernel and nothing else. */

#define MM_PAGE_SIZE 4096U

/* XXH3 64 of one page. */
uint64_t mm_hash_page(const void *page, uint64_t seed);

/* What mm_hash_page() gives for a page of zeros. */
uint64_t mm_hash_zero(uint64_t seed);

/* Who may share with whom and, if asked, whose memory it is, as 64 bits: distinct for two domains
 * with one owner and for two owners in one domain. A page's key is its content hash ^ that: pages with
 * equal keys are candidates for one frame, and the fold taken out of a key again gives the content hash. */
uint64_t mm_hash_fold(uint64_t domain, uint64_t owner);

/* From getrandom(2). 0 or -errno. */
int mm_hash_seed(uint64_t *ret);
