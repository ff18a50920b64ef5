/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/mman.h>

#include "daemon/worker-child.h"
#include "lib/inject.h"

/* Giving pages back holds the lock of the target's memory for the whole of an area: a few microseconds a
 * page. Larger ones are left to injection, which does it in slices. */
#define UNREGISTER_BYTES (UINT64_C(512) * MM_PAGE_SIZE)

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

size_t worker_child_advise_direct(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd,
                                  const struct mm_vmflags *flags, size_t n_flags, bool any_size,
                                  struct mm_advice *advices, size_t n)
{
        struct mm_device *device;
        size_t n_done = 0;
        uint32_t target;

        if (worker_child_device(w, &device) < 0 ||
            (mm_device_features(device) & MERGEMOD_FEATURE_ADVISE) == 0 ||
            mm_device_attach(device, ranges->pid, ranges->start_ticks, dir_fd, &target) < 0)
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
                if (worker_child_tick(w) < 0)
                        break;
        }
        return n_done;
}
