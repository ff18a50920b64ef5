/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "run/program.h"
#include "run/refusal.h"
#include "run/situation.h"

/* The process that is there from shortly before the exec to the first instruction of the program.
 *
 * It is a child of the launcher that traces its parent. Where the exec is done it puts back what was
 * only meant for that: the limit of the stack, and the personality, by a system call that the program
 * makes before anything else. The last thing that the program is led through is waitid(2) for this
 * child, so that it begins without child, zombie or SIGCHLD. Should this process be killed before,
 * the program is killed too, rather than run with the wrong limits. */

struct trace_order {
        struct rlimit stack;      /* what the program shall have */
        struct rlimit exec_stack; /* in force while it is executed */
        unsigned long exec_personality;
        bool inherit; /* leaves the personality to what the program executes */
        bool ksm;     /* PR_SET_MEMORY_MERGE, in the program: some kernels forget it on exec */
        bool child_pending; /* SIGCHLD is blocked, and waits already */
        struct program_code code;
};

/* Starts it. 0 and its pid: it traces this process and has tried all that it and this process will have
 * to do. Else -errno and *@f, and nothing has changed. */
int trace_start(const struct trace_order *o, const struct situation *s, pid_t *ret, struct refusal *f);

/* After an exec that has failed, which is what it leaves at. */
void trace_reap(pid_t tracer);

/* Has it leave. */
void trace_dismiss(pid_t tracer);
