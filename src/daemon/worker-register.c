/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/worker-child.h"
#include "lib/advise.h"

static int tick(void *userdata)
{
        return worker_child_tick(userdata);
}

size_t worker_child_advise_direct(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd,
                                  const struct mm_vmflags *flags, size_t n_flags, bool any_size,
                                  struct mm_advice *advices, size_t n)
{
        struct mm_device *device;
        uint32_t target;

        if (worker_child_device(w, &device) < 0 ||
            mm_device_attach(device, ranges->pid, ranges->start_ticks, dir_fd, &target) < 0)
                return 0;
        return mm_advise_by_module(device, target, flags, n_flags, any_size, advices, n, tick, w);
}
