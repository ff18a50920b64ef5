/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/group.h"

/* The @n records of one frame. */
static void group_add_frame(struct mm_group *g, const struct mm_record *records, size_t n,
                            mm_mapcount_t mapcount, void *userdata)
{
        bool exclusive = n == 1 && (records[0].flags & MM_RECORD_EXCLUSIVE), known = false;
        uint64_t count = 1;

        g->n_frames++;

        if (exclusive)
                known = true;
        else if (mapcount)
                known = mapcount(userdata, records[0].frame, &count) >= 0;

        if (records[0].flags & MM_RECORD_KSM) {
                g->n_ksm++;
                if (known && count > n)
                        g->n_ksm_outside += count - n;
        } else if (known && count <= n)
                g->n_freeable++;
}

size_t mm_group_next(struct mm_records *r, size_t from, mm_mapcount_t mapcount, void *userdata,
                     struct mm_group *ret)
{
        struct mm_record *items = mm_records_items(r);
        size_t count = mm_records_count(r), end = from;
        struct mm_group g = {};

        if (from >= count)
                return 0;

        while (end < count && items[end].key == items[from].key)
                end++;

        g.records = &items[from];
        g.n_pages = end - from;
        g.zero = items[from].flags & MM_RECORD_ZERO;

        /* Asking takes a system call, and most frames that are mapped more than once, by fork, are
         * alone in their group. */
        if (items[from].frame == items[end - 1].frame && !g.zero)
                mapcount = NULL;

        for (size_t i = from, next; i < end; i = next) {
                next = i + 1;

                /* Frames that are not known may be anybody's: each is one of its own, and never freed. */
                if (items[i].frame == 0) {
                        g.n_frames++;
                        continue;
                }

                while (next < end && items[next].frame == items[i].frame)
                        next++;
                group_add_frame(&g, &items[i], next - i, mapcount, userdata);
        }

        *ret = g;
        return end;
}

size_t mm_group_saving(const struct mm_group *g, size_t max_sharing, bool zero_is_free)
{
        size_t needed = 1;

        if (g->zero && zero_is_free)
                return g->n_freeable;

        if (max_sharing > 0) {
                size_t mappings = g->n_pages + g->n_ksm_outside;

                needed = mappings / max_sharing + (mappings % max_sharing > 0);
        }
        needed -= MIN(needed, g->n_ksm);

        return g->n_freeable > needed ? g->n_freeable - needed : 0;
}
