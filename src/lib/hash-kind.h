/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/mmlib.h"

/* The hashes that mergemod knows, in the caller, with the same values for a page: <linux/mergemod.h>. */

/* Of @size bytes that are aligned for a word at best. Not MM_HASH_NONE or MM_HASH_FUNCTION. */
uint64_t mm_hash_kind_compute(enum mm_hash_kind kind, uint64_t seed, const void *data, size_t size);

/* Of a huge page, from the hashes of its @n parts. */
uint64_t mm_hash_kind_join(enum mm_hash_kind kind, uint64_t seed, const uint64_t *parts, size_t n);
