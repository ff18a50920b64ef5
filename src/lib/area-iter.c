/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/ranges.h"
#include "lib/target.h"

struct mm_area_iter {
        struct mm_ranges ranges;
        size_t range; /* the one that comes next, or is left in part */
        size_t flags; /* those that end behind it */
        uint64_t at;  /* where to go on */
};

_public_ int mm_area_iter_new(struct mm_target *t, struct mm_area_iter **ret)
{
        struct mm_area_iter *iter;
        int r;

        if (!t->ctx->elf_cache) {
                r = mm_elf_cache_new(&t->ctx->elf_cache);
                if (r < 0)
                        return r;
        }
        iter = calloc(1, sizeof(*iter));
        if (!iter)
                return -ENOMEM;
        r = mm_ranges_read(t->ctx->elf_cache, t->process.dir_fd, &t->process.exe_id, true, &iter->ranges);
        if (r < 0) {
                free(iter);
                return r;
        }
        *ret = iter;
        return 0;
}

_public_ struct mm_area_iter *mm_area_iter_free(struct mm_area_iter *iter)
{
        if (!iter)
                return NULL;
        mm_ranges_done(&iter->ranges);
        free(iter);
        return NULL;
}

static uint32_t flags_of(const struct mm_range *range, uint32_t vmflags)
{
        uint32_t flags = 0;

        if (range->file_backed)
                flags |= MM_AREA_INFO_FILE;
        if (vmflags & (MM_VM_PRIVATE | MM_VM_SPECIAL))
                flags |= MM_AREA_INFO_REFUSED;
        if (vmflags & MM_VM_MERGEABLE)
                flags |= MM_AREA_INFO_KSM;
        return flags;
}

_public_ int mm_area_iter_next(struct mm_area_iter *iter, struct mm_area_info *ret)
{
        const struct mm_ranges *r = &iter->ranges;
        const struct mm_range *range;
        const struct mm_vmflags *piece;
        uint64_t start, end;

        /* One range may lie in several areas, each with flags of its own. What has none went meanwhile. */
        for (;; iter->range++) {
                if (iter->range == r->n)
                        return 0;
                range = &r->items[iter->range];
                start = MAX(range->start, iter->at);
                while (iter->flags < r->n_flags && r->flags[iter->flags].end <= start)
                        iter->flags++;
                if (iter->flags == r->n_flags)
                        return 0;
                piece = &r->flags[iter->flags];
                if (start < range->end && piece->start < range->end)
                        break;
        }
        start = MAX(start, piece->start);
        end = MIN(range->end, piece->end);
        iter->at = end;
        *ret = (struct mm_area_info) {
                .start = start,
                .end = end,
                .device = range->file.dev,
                .inode = range->file.ino,
                .name = range->name,
                .owner = range->owner,
                .part = range->part,
                .flags = flags_of(range, piece->flags),
        };
        return 1;
}
