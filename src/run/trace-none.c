/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/trace.h"

int trace_start(const struct trace_order *o, const struct situation *s, pid_t *ret, struct refusal *f)
{
        return refuse(f, -EOPNOTSUPP, "layouts are built for x86-64 only");
}

void trace_reap(pid_t tracer)
{
}

void trace_dismiss(pid_t tracer)
{
}
