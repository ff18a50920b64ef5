/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/advise.h"

#include <sys/mman.h>

#include "lib/hash.h"

/* Giving pages back holds the lock of the target's memory for the whole of an area: a few microseconds a
 * page. Larger ones are left to injection, which does it in slices. */
#define UNREGISTER_BYTES (UINT64_C(512) * MM_PAGE_SIZE)

void mm_advices_add(struct mm_advices *a, const struct mm_vmflags *flags, size_t n_flags, uint64_t start,
                    uint64_t end, bool merge, uint32_t unwanted)
{
        for (size_t i = 0; i < n_flags && a->n < a->max; i++) {
                uint64_t from = MAX(flags[i].start, start), to = MIN(flags[i].end, end);
                bool registered = (flags[i].flags & MM_VM_MERGEABLE) != 0;

                if (from >= to)
                        continue;
                if (registered == merge) {
                        a->n_foreign_bytes += merge ? to - from : 0;
                        continue;
                }
                if ((flags[i].flags & unwanted) != 0)
                        continue;
                if (a->n > 0 && a->items[a->n - 1].end == from) {
                        a->items[a->n - 1].end = to;
                        continue;
                }
                a->items[a->n++] = (struct mm_advice) {
                        .start = from,
                        .end = to,
                        .advice = merge ? MADV_MERGEABLE : MADV_UNMERGEABLE,
                        .status = 1,
                };
        }
}

/* mergemod cannot split areas: whether all that @advice touches lie in it whole. */
static bool is_whole(const struct mm_advice *advice, const struct mm_vmflags *flags, size_t n_flags)
{
        for (size_t i = 0; i < n_flags; i++) {
                if (flags[i].end <= advice->start || flags[i].start >= advice->end)
                        continue;
                if (flags[i].start < advice->start || flags[i].end > advice->end)
                        return false;
        }
        return true;
}

static bool is_for_module(const struct mm_advice *advice, const struct mm_vmflags *flags, size_t n_flags,
                          bool any_size)
{
        if (!any_size && advice->advice == MADV_UNMERGEABLE &&
            advice->end - advice->start > UNREGISTER_BYTES && mm_inject_is_possible())
                return false;
        return is_whole(advice, flags, n_flags);
}

size_t mm_advise_by_module(struct mm_device *device, uint32_t target, const struct mm_vmflags *flags,
                           size_t n_flags, bool any_size, struct mm_advice *advices, size_t n,
                           int (*tick)(void *userdata), void *userdata)
{
        size_t n_done = 0;

        if ((mm_device_features(device) & MERGEMOD_FEATURE_ADVISE) == 0)
                return 0;
        for (size_t i = 0; i < n; i++) {
                struct mm_advice advice = advices[i];
                struct mergemod_range range = {
                        .start = advice.start, .end = advice.end, .target = target
                };

                if (!is_for_module(&advice, flags, n_flags, any_size) ||
                    mm_device_advise(device, &range, 1,
                                     advice.advice == MADV_MERGEABLE ? MERGEMOD_ADVISE_KSM
                                                                     : MERGEMOD_ADVISE_NO_KSM) < 0 ||
                    range.status < 0)
                        continue;
                advice.status = 0;
                advice.done = advice.end - advice.start;
                advices[i] = advices[n_done];
                advices[n_done++] = advice;
                if (tick && tick(userdata) < 0)
                        break;
        }
        return n_done;
}
