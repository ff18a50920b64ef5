/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/user.h>

#include "lib/inject-code.h"
#include "lib/inject-frame.h"
#include "lib/inject-trace.h"
#include "lib/inject.h"

/* Brings a thread to a stop and finds out how it stands there. */

struct mm_inject_state {
        struct user_regs_struct regs;
        uint64_t mask;
        uint8_t xstate[MM_INJECT_XSTATE_MAX];
        size_t xstate_size;
};

/* Stops a thread that runs. Its own signals that come first are passed on. MM_INJECT_OK: it stands
 * in a trap. Else it has been let go, or this process must end to let it go: MM_INJECT_BUSY
 * (signals without end), _STOPPED (not until @end_usec), _NO_PLACE (the thread has ended). */
enum mm_inject_result mm_inject_stop(struct mm_inject_trace *t, uint64_t end_usec);

/* From any stop, or while it runs, to where it can be let go. 0, -ETIMEDOUT, -ESRCH. */
int mm_inject_stop_again(struct mm_inject_trace *t);

int mm_inject_stop_read(struct mm_inject_trace *t, struct mm_inject_state *ret);

/* What only shows at the stop: MM_INJECT_OK; _BUSY inside a restartable sequence, which a return
 * into its middle would break; _SECCOMP if its system calls are handed to a handler; _NO_PLACE if
 * it came into the kernel by another door than the syscall instruction. */
enum mm_inject_result mm_inject_stop_judge(struct mm_inject_trace *t, int mem_fd,
                                           const struct mm_inject_state *s);

/* Whether a signal handler seems to run on an alternate stack that lies inside the stack that @sp
 * points into: what is below it would be in use. */
bool mm_inject_stop_on_alternate_stack(int mem_fd, const struct mm_areas *areas,
                                       const struct mm_inject_code *code, uint64_t sp);

/* The thread is about to get a signal while it is not itself. If we brought it about, it is taken
 * back (*@signal = 0) and the return value says why; else MM_INJECT_BUSY. */
enum mm_inject_result mm_inject_stop_by_us(struct mm_inject_trace *t, int *signal);
