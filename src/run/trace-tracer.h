/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "run/trace.h"

/* The tracing process itself. */

/* What it has come to. */
enum trace_step {
        TRACE_READY, /* no step: all is done */
        TRACE_STACK,
        TRACE_PERSONALITY,
        TRACE_KSM,
        TRACE_WAIT,
        TRACE_ATTACH,
};

/* What it tells the launcher before the exec, once. */
struct trace_report {
        enum trace_step step; /* that failed */
        int error;
};

/* Runs in the child, which ends with it. @go_fd: a byte comes from there once the tracing may begin.
 * @report_fd: where the report goes. */
_Noreturn void trace_run(const struct trace_order *o, pid_t launcher, int go_fd, int report_fd);
