/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/layout.h"

#include "shared/macro.h"

#define PAGE_SIZE UINT64_C(4096)

int layout_stack(const uint8_t secret[LAYOUT_SECRET_BYTES], const struct rlimit *stack, struct rlimit *ret)
{
        uint64_t pages = 0, gap;

        for (size_t i = 0; i < sizeof(pages); i++)
                pages |= (uint64_t) secret[i] << (8 * i);
        pages &= (UINT64_C(1) << LAYOUT_BITS) - 1;

        if (stack->rlim_cur == RLIM_INFINITY)
                gap = LAYOUT_GAP_UNLIMITED;
        else if (stack->rlim_cur > LAYOUT_GAP_MAX)
                return -ERANGE;
        else
                gap = MAX(LAYOUT_GAP_MIN, ((uint64_t) stack->rlim_cur + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1));

        gap += pages * PAGE_SIZE;
        *ret = (struct rlimit){ .rlim_cur = gap, .rlim_max = MAX((uint64_t) stack->rlim_max, gap) };
        return 0;
}
