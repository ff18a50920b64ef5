/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/inject-trace.h"
#include "shared/clock.h"
#include "shared/macro.h"

/* No signal tells of a thread that another one's execve(2) has done away with. */
#define LOOK_USEC UINT64_C(10000)

void (*mm_inject_step_hook)(void);

void mm_inject_step(void)
{
        if (mm_inject_step_hook)
                mm_inject_step_hook();
}

enum mm_inject_stop mm_inject_trace_decode(int status, int *ret_signal)
{
        int signal, event;

        if (!WIFSTOPPED(status))
                return MM_INJECT_STOP_ENDED;
        signal = WSTOPSIG(status);
        event = status >> 16;
        if (event == PTRACE_EVENT_STOP)
                return signal == SIGTRAP ? MM_INJECT_STOP_TRAP : MM_INJECT_STOP_GROUP;
        if (event == PTRACE_EVENT_EXEC)
                return MM_INJECT_STOP_EXEC;
        if (signal == (SIGTRAP | 0x80))
                return MM_INJECT_STOP_CALL;
        *ret_signal = signal;
        return MM_INJECT_STOP_SIGNAL;
}

int mm_inject_trace_request(struct mm_inject_trace *t, int request, uint64_t addr, uint64_t data)
{
        mm_inject_step();
        if (request == PTRACE_CONT || request == PTRACE_SYSCALL || request == PTRACE_DETACH)
                t->standing = false;
        /* Not ptrace(), whose prototype wants pointers and an enum that lacks the newer requests. */
        return syscall(SYS_ptrace, (long) request, (long) t->tid, addr, data) < 0 ? -errno : 0;
}

int mm_inject_trace_pointer(struct mm_inject_trace *t, int request, uint64_t addr, const void *data)
{
        return mm_inject_trace_request(t, request, addr, (uint64_t) (uintptr_t) data);
}

int mm_inject_trace_seize(pid_t tid, struct mm_inject_trace *ret)
{
        struct mm_inject_trace t = { .tid = tid };
        int r;

        /* TRACESYSGOOD is more than a convenience: a tracee whose tracer dies while it stands at a
         * system call gets the signal that it stood there with. SIGTRAP would kill it, with the mark
         * of this option it is no signal at all. */
        r = mm_inject_trace_request(&t, PTRACE_SEIZE, 0, PTRACE_O_TRACESYSGOOD);
        if (r < 0)
                return r;
        *ret = t;
        return 0;
}

int mm_inject_trace_wait(struct mm_inject_trace *t, uint64_t end_usec)
{
        sigset_t child;

        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);

        for (;;) {
                struct timespec left;
                uint64_t now;
                int status;
                pid_t pid;

                mm_inject_step();
                pid = waitpid(t->tid, &status, __WALL | WNOHANG);
                if (pid != 0) {
                        t->standing = true;
                        t->stop = pid < 0 ? MM_INJECT_STOP_ENDED
                                          : mm_inject_trace_decode(status, &t->signal);
                        return 0;
                }
                now = clock_usec(CLOCK_MONOTONIC);
                if (now >= end_usec)
                        return -ETIMEDOUT;
                left = (struct timespec) { .tv_nsec = (long) MIN(end_usec - now, LOOK_USEC) * 1000 };
                (void) sigtimedwait(&child, NULL, &left);
        }
}
