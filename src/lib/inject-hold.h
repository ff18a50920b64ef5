/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/inject-code.h"
#include "lib/inject-frame.h"
#include "lib/inject-plan.h"
#include "lib/inject-thread.h"

/* One thread of the target held for as long as a few calls take. */

/* A frame and what a handler of the program may need below it if a signal arrives on top of it. */
#define MM_INJECT_STACK_ROOM (128U + MM_INJECT_FRAME_MAX + 16384U)

struct mm_inject_target {
        const struct mm_process *process; /* not owned */
        int mem_fd;                       /* /proc/PID/mem; not owned */
        struct mm_areas areas;            /* of a moment ago; owned */
        struct mm_inject_code code;
        uint64_t end_usec;     /* when the time is up, of CLOCK_MONOTONIC */
        uint64_t longest_usec; /* that a thread was held */
        int error;             /* behind MM_INJECT_FAILED */
};

/* Makes the next calls of @plan with thread @tid, as many as fit into well under a millisecond.
 * MM_INJECT_OK: at least one was made, or nothing was left to do. MM_INJECT_NO_PLACE: not with this
 * thread, it is as it was. MM_INJECT_BUSY: later maybe. After anything else this process must end
 * without touching the target again: its end releases what it still holds. */
enum mm_inject_result mm_inject_hold(struct mm_inject_target *t, pid_t tid, struct mm_inject_plan *plan);
