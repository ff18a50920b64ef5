/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/device.h"
#include "lib/inject.h"
#include "lib/vmflags.h"

/* Which advice to give to register memory with KSM or take it out, and what of it mergemod can do. */

struct mm_advices {
        struct mm_advice *items; /* not owned */
        size_t n, max;
        uint64_t n_foreign_bytes; /* registered before */
};

/* Adds the parts of [@start, @end) where the kernel's flag is not yet as wanted: @merge registers. What is
 * registered already is somebody else's then: it is left to them. @unwanted: MM_VM_* of areas that are left
 * alone. Stops when the array is full. */
void mm_advices_add(struct mm_advices *a, const struct mm_vmflags *flags, size_t n_flags, uint64_t start,
                    uint64_t end, bool merge, uint32_t unwanted);

/* Does what of @advices mergemod can do, without holding a thread of the target; @any_size: also what locks
 * its memory for long. Those are put first; returns how many. @tick is called after each, and ends it if
 * negative; may be NULL. */
size_t mm_advise_by_module(struct mm_device *device, uint32_t target, const struct mm_vmflags *flags,
                           size_t n_flags, bool any_size, struct mm_advice *advices, size_t n,
                           int (*tick)(void *userdata), void *userdata);
