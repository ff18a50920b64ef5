/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/mman.h>

#include "lib/inject-plan.h"

static bool may_be_advised(const struct mm_area *a)
{
        if ((a->flags & MM_AREA_MAYSHARE) != 0)
                return false;
        switch (a->kind) {
        case MM_AREA_ANON:
        case MM_AREA_NAMED_ANON:
        case MM_AREA_HEAP:
        case MM_AREA_STACK:
        case MM_AREA_FILE:
                return true;
        default:
                return false;
        }
}

/* The area that holds @address or the first behind it. */
static const struct mm_area *area_from(const struct mm_areas *areas, uint64_t address)
{
        size_t low = 0, high = areas->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (areas->items[middle].end <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < areas->n ? &areas->items[low] : NULL;
}

static void advance(struct mm_inject_plan *p, uint64_t to)
{
        struct mm_advice *a = &p->advices[p->index];

        p->at = to;
        if (to >= a->end) {
                if (a->status == 1)
                        a->status = 0;
                p->index++;
                p->at = 0;
        }
}

int mm_inject_plan_next(struct mm_inject_plan *p, const struct mm_areas *areas, struct mm_inject_piece *ret)
{
        while (p->index < p->n) {
                struct mm_advice *a = &p->advices[p->index];
                uint64_t at = MAX(p->at, a->start), end;
                const struct mm_area *area = area_from(areas, at);

                if (!area || area->start > at) {
                        a->status = -ENOMEM;
                        advance(p, area ? MIN(area->start, a->end) : a->end);
                        continue;
                }
                end = MIN(area->end, a->end);
                if (!may_be_advised(area)) {
                        a->status = -EAGAIN;
                        advance(p, end);
                        continue;
                }
                if (a->advice == MADV_UNMERGEABLE)
                        end = MIN(end, at + MM_INJECT_SLICE_BYTES);
                *ret = (struct mm_inject_piece) { .start = at, .end = end, .advice = a->advice };
                return 1;
        }
        return 0;
}

void mm_inject_plan_done(struct mm_inject_plan *p, const struct mm_inject_piece *piece, int result)
{
        struct mm_advice *a = &p->advices[p->index];

        if (result == 0) {
                a->done += piece->end - piece->start;
                advance(p, piece->end);
                return;
        }
        a->status = result;
        /* The next slices would end alike and may cost the target its life: whoever asked decides. */
        if (result == -ENOMEM && piece->advice == MADV_UNMERGEABLE)
                p->index = p->n;
        else
                p->index++;
        p->at = 0;
}
