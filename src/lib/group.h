/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/records.h"

/* Groups of equal pages, and what sharing each would save. Pure functions on sorted records. */

struct mm_group {
        struct mm_record *records; /* in frame order; not owned */
        size_t n_pages;            /* mappings seen */
        size_t n_frames;           /* distinct frames among them */
        size_t n_freeable;         /* of them those with every mapping seen: none would have a user left */
        size_t n_ksm;              /* frames that are KSM's already: they stay and take further mappings */
        size_t n_ksm_outside;      /* mappings of those that were not seen */
        bool zero;                 /* pages of zeros */
};

/* How often a frame is mapped in the whole system. Asked only for frames that are not exclusive, and
 * not for one that is alone in its group, unless it holds zeros: nothing can be gained there.
 * 0 and *@ret; negative: not known. A frame that was not asked for or is not known is not freeable. */
typedef int (*mm_mapcount_t)(void *userdata, uint32_t frame, uint64_t *ret);

/* The group that starts at record @from (sorted by key): fills *@ret and returns the index behind
 * it. @from == count: returns 0. Groups of one page are returned too. */
size_t mm_group_next(struct mm_records *r, size_t from, mm_mapcount_t mapcount, void *userdata,
                     struct mm_group *ret);

/* Frames that merging @g would free, net of the shared frames it needs besides KSM's: at most
 * @max_sharing mappings to one frame (0: no limit; /sys/kernel/mm/ksm/max_page_sharing);
 * @zero_is_free: pages of zeros go to the kernel's zero page, which costs no frame. Never negative:
 * a group that would not gain is left alone. A frame that somebody outside maps too is not freed
 * and not counted, which is why pages shared by fork are no saving. */
size_t mm_group_saving(const struct mm_group *g, size_t max_sharing, bool zero_is_free);
