/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/inject.h"

/* What the injector process and its parent share; written by the injector. */
struct mm_inject_channel {
        enum mm_inject_result result;
        int error;
        uint64_t longest_usec;
        bool done; /* the rest holds */
        size_t n;
        struct mm_advice advices[];
};

/* Does the work, in the injector process, which ends when this returns. */
void mm_inject_run(const struct mm_process *p, unsigned timeout_msec, struct mm_inject_channel *c);
