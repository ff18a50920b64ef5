/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/launch.h"

#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>

#include "run/trace.h"
#include "shared/format.h"

#define SET_MEMORY_MERGE 67 /* PR_SET_MEMORY_MERGE of newer headers */

int launch_plain(const struct program *p, struct refusal *f)
{
        (void) execv(p->path, p->argv);
        return refuse(f, -errno, "cannot execute %s: %m", p->path);
}

/* What the tracing process has tried does not fail here, unless somebody meddles. */
static int set_up(const struct trace_order *o, struct refusal *f)
{
        if (setrlimit(RLIMIT_STACK, &o->exec_stack) < 0)
                return refuse(f, -errno, "cannot raise the limit of the stack: %m");
        if (personality(o->exec_personality) < 0)
                return refuse(f, -errno, "cannot turn off randomisation for the program: %m");
        return 0;
}

static void set_back(const struct trace_order *o, unsigned long was)
{
        (void) personality(was);
        (void) setrlimit(RLIMIT_STACK, &o->stack);
}

enum launch_result launch_with_layout(const struct launch *l, int *ret_error, struct refusal *f)
{
        const struct situation *s = l->situation;
        struct trace_order o = {
                .stack = s->stack,
                .exec_personality = s->personality | ADDR_NO_RANDOMIZE,
                /* Who got it from others keeps it. */
                .inherit = l->inherit || (s->personality & ADDR_NO_RANDOMIZE) != 0,
                .ksm = l->ksm,
                .code = l->program->code,
        };
        sigset_t pending;
        pid_t tracer;

        sigpending(&pending);
        o.child_pending = sigismember(&pending, SIGCHLD) > 0;

        if (layout_stack(l->secret, &s->stack, &o.exec_stack) < 0) {
                (void) refuse(f, 0, "the limit of the stack, %s, leaves no room for a secret",
                              FORMAT_BYTES(s->stack.rlim_cur));
                return LAUNCH_REFUSED;
        }
        if (trace_start(&o, s, &tracer, f) < 0)
                return LAUNCH_REFUSED;
        if (l->dry_run) {
                trace_dismiss(tracer);
                return LAUNCH_TRIED;
        }
        if (set_up(&o, f) < 0) {
                set_back(&o, s->personality);
                trace_dismiss(tracer);
                return LAUNCH_REFUSED;
        }
        *ret_error = launch_plain(l->program, f);
        set_back(&o, s->personality);
        trace_reap(tracer);
        return LAUNCH_FAILED;
}

int launch_set_ksm(struct refusal *f)
{
        if (prctl(SET_MEMORY_MERGE, 1, 0, 0, 0) < 0)
                return refuse(f, -errno, "cannot have the memory of the program merged: %m");
        return 0;
}
