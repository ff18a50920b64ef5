/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/inject.h"
#include "lib/maps.h"

/* Cuts advices into single calls of madvise(2), by the areas that are there now. Pure. */

/* A page that is shared costs up to 4 us to take apart: half a millisecond. */
#define MM_INJECT_SLICE_BYTES (128U * 4096U)

struct mm_inject_plan {
        struct mm_advice *advices; /* not owned */
        size_t n;
        size_t index;
        uint64_t at; /* 0: at the start of advices[index] */
};

struct mm_inject_piece {
        uint64_t start, end;
        int advice;
};

/* The next call to make: 1 and *@ret, or 0 when all is done. What no area covers any more, or one
 * that must not be touched, is passed over and noted: -ENOMEM, -EAGAIN. */
int mm_inject_plan_next(struct mm_inject_plan *p, const struct mm_areas *areas, struct mm_inject_piece *ret);

/* Takes note of what the call for @piece returned. */
void mm_inject_plan_done(struct mm_inject_plan *p, const struct mm_inject_piece *piece, int result);
