/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/inject-run.h"

bool mm_inject_is_possible(void)
{
        return false;
}

/* The frame that makes it safe is made of registers, and known for x86-64 only. */
void mm_inject_run(const struct mm_process *p, unsigned timeout_msec, struct mm_inject_channel *c)
{
        c->result = MM_INJECT_BITS;
}
