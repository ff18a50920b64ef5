/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/look.h"

/* The two sources of mm_look_list() and mm_look_at(). */

/* Whether @hash, which may be NULL, is one that the source computes. */
bool mm_look_kind_is_known(const struct mm_hash *hash);

/* look-proc.c: pages in [*@at, @end), which lies in one span. It may stop once there are @max -
 * MM_PAGES_CHUNK of them. */
ssize_t mm_look_list_proc(struct mm_target *t, uint64_t *at, uint64_t end, const struct mm_hash *hash,
                          struct mm_page_info *pages, size_t max);
int mm_look_at_proc(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n);

/* look-module.c: the same. */
ssize_t mm_look_list_module(struct mm_target *t, uint64_t *at, uint64_t end, const struct mm_hash *hash,
                            struct mm_page_info *pages, size_t max);
int mm_look_at_module(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n);
