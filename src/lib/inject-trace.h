/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One thread under ptrace(2): its requests, and what it reports. */

enum mm_inject_stop {
        MM_INJECT_STOP_TRAP,   /* PTRACE_INTERRUPT, or a SIGCONT */
        MM_INJECT_STOP_CALL,   /* at a system call's entry or exit */
        MM_INJECT_STOP_SIGNAL, /* about to get @signal */
        MM_INJECT_STOP_GROUP,  /* job control has stopped the process */
        MM_INJECT_STOP_EXEC,   /* it is another program now; with PTRACE_O_TRACEEXEC */
        MM_INJECT_STOP_ENDED,
};

struct mm_inject_trace {
        pid_t tid;
        bool standing; /* in a stop that has been reported */
        enum mm_inject_stop stop;
        int signal;
};

/* What a wait status from the tracee means. */
enum mm_inject_stop mm_inject_trace_decode(int status, int *ret_signal);

/* 0 or -errno; -ESRCH: killed meanwhile. */
int mm_inject_trace_request(struct mm_inject_trace *t, int request, uint64_t addr, uint64_t data);
int mm_inject_trace_pointer(struct mm_inject_trace *t, int request, uint64_t addr, const void *data);

/* Attaches without stopping it. */
int mm_inject_trace_seize(pid_t tid, struct mm_inject_trace *ret);

/* Waits until it stops or ends, or until @end_usec of CLOCK_MONOTONIC; what it was goes into @t. 0 or
 * -ETIMEDOUT. SIGCHLD must be blocked. */
int mm_inject_trace_wait(struct mm_inject_trace *t, uint64_t end_usec);

/* Called before each step that a tracer may be killed at; for tests, which are killed there. */
extern void (*mm_inject_step_hook)(void);
void mm_inject_step(void);
