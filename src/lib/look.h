/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/hash.h"
#include "lib/target.h"

/* Where pages are looked at: by mergemod, or else through pagemap, kpagecount, kpageflags and
 * /proc/PID/mem. Pages here are small ones, parts of huge pages marked with MM_PAGE_INFO_HUGE. */

/* Pages at a time. Half of them hold a huge page. */
#define MM_LOOK_PAGES 1024U
#define MM_HUGE_PARTS 512U
#define MM_HUGE_BYTES ((uint64_t) MM_HUGE_PARTS * MM_PAGE_SIZE)

struct mm_look {
        struct mm_page_info found[MM_LOOK_PAGES];
        struct mm_page_info parts[MM_HUGE_PARTS]; /* of one huge page */
        struct mergemod_page module[MM_LOOK_PAGES];
};

/* To be called before the others, and again when memory may have changed: opens what is needed, reads the
 * spans where they are; mm_look_at() needs none from mergemod. 0 or -errno. */
int mm_look_prepare(struct mm_target *t, bool for_list);

/* Pages that could be merged in [*@at, @end): at least so many that a huge page is among them whole, unless
 * there are fewer, at most MM_LOOK_PAGES. *@at moves to where to go on. @hash may be NULL; MM_HASH_FUNCTION
 * is left to mm_look_apply(). How many, or -errno. */
ssize_t mm_look_list(struct mm_target *t, uint64_t *at, uint64_t end, const struct mm_hash *hash,
                     struct mm_page_info *pages);

/* Looks at the pages that contain the addresses in @pages, at most MM_LOOK_PAGES: where there is none that
 * could be merged the status is -ENODATA. Addresses stay, and hashes if none is asked for. 0 or -errno. */
int mm_look_at(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n);

/* Where the page begins, whose address may be any in it. */
static inline uint64_t mm_look_start(const struct mm_page_info *page)
{
        return page->address - (page->address & (page->size - 1));
}

/* Has the caller's function hash pages of any size. What has gone meanwhile gets -ENODATA. 0 or -errno. */
int mm_look_apply(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n);

/* Makes one of the parts of each huge page among ascending @pages, in place. @more: others may follow, so
 * that one at the end that is not whole is left for later. Returns how many there are then; *@ret_used: how
 * many went into them. */
size_t mm_look_fold(const struct mm_hash *hash, struct mm_page_info *pages, size_t n, bool more,
                    size_t *ret_used);
