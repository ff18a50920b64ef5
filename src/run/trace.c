/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/trace.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "run/trace-tracer.h"
#include "shared/format.h"

static int wait_for(pid_t tracer, int *ret_status)
{
        while (waitpid(tracer, ret_status, __WALL) < 0)
                if (errno != EINTR)
                        return -errno;
        return 0;
}

void trace_reap(pid_t tracer)
{
        int status;

        (void) wait_for(tracer, &status);
}

void trace_dismiss(pid_t tracer)
{
        char *const nothing[] = { NULL };

        (void) execve("", nothing, nothing);
        trace_reap(tracer);
}

static int explain(const struct trace_order *o, const struct situation *s, const struct trace_report *report,
                   struct refusal *f)
{
        switch (report->step) {
        case TRACE_STACK:
                if (report->error == -EPERM)
                        return refuse(f, report->error,
                                      "the hard limit of the stack, %s, leaves no room for a secret: "
                                      "LimitSTACK= and the like should not set one",
                                      FORMAT_BYTES(o->stack.rlim_max));
                return refuse(f, report->error, "cannot raise the limit of the stack: %m");
        case TRACE_PERSONALITY:
                return refuse(f, report->error, "cannot turn off randomisation for the program: %m "
                              "(LockPersonality=, or a filter of system calls such as containers have)");
        case TRACE_KSM:
                if (report->error == -EINVAL)
                        return refuse(f, report->error, "--ksm takes Linux 6.4 or later with KSM");
                return refuse(f, report->error, "cannot have the memory of the program merged: %m");
        case TRACE_WAIT:
                return refuse(f, report->error, "cannot wait for a process: %m (a filter of system calls)");
        case TRACE_ATTACH:
                if (report->error == -EPERM || report->error == -EACCES)
                        situation_explain_trace(s, f);
                else
                        (void) refuse(f, report->error, "cannot trace the program while it starts: %m");
                return report->error;
        default:
                return refuse(f, -EPROTO, "the tracing process says nothing of use");
        }
}

/* It has ended without a word. */
static int explain_end(int status, struct refusal *f)
{
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
                return refuse(f, -EPERM, "a filter of system calls forbids personality(2), ptrace(2) or "
                              "prlimit(2)");
        return refuse(f, -ECHILD, "the tracing process ended too early (%s %d)",
                      WIFEXITED(status) ? "status" : "signal",
                      WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* Files of ours that have to be closed do not lie where the program's own are expected. */
static int make_pipe(int ret[2])
{
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        for (size_t i = 0; i < 2; i++) {
                ret[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
                if (ret[i] < 0) {
                        int r = -errno;

                        if (i > 0)
                                close(ret[0]);
                        close(fds[0]);
                        close(fds[1]);
                        return r;
                }
        }
        close(fds[0]);
        close(fds[1]);
        return 0;
}

int trace_start(const struct trace_order *o, const struct situation *s, pid_t *ret, struct refusal *f)
{
        _cleanup_(closep) int go_read = -EBADF, go_write = -EBADF;
        _cleanup_(closep) int report_read = -EBADF, report_write = -EBADF;
        struct trace_report report;
        pid_t launcher = getpid(), tracer;
        int fds[2], status, r;
        ssize_t n;

        r = make_pipe(fds);
        if (r < 0)
                return refuse(f, r, "cannot make a pipe: %m");
        go_read = fds[0];
        go_write = fds[1];
        r = make_pipe(fds);
        if (r < 0)
                return refuse(f, r, "cannot make a pipe: %m");
        report_read = fds[0];
        report_write = fds[1];

        /* As fork(2), but with no signal when it ends, whatever is to become of SIGCHLD. */
        tracer = (pid_t) syscall(SYS_clone, 0, NULL, NULL, NULL, 0);
        if (tracer < 0)
                return refuse(f, -errno, "cannot start a process: %m");
        if (tracer == 0) {
                close(go_write);
                close(report_read);
                trace_run(o, launcher, go_read, report_write);
        }
        report_write = safe_close(report_write);

        /* Where Yama lets parents trace children only. Without Yama there is no such call. */
        (void) prctl(PR_SET_PTRACER, (unsigned long) tracer, 0, 0, 0);
        n = write(go_write, "", 1);
        if (n == 1)
                do
                        n = read(report_read, &report, sizeof(report));
                while (n < 0 && errno == EINTR);
        if (n == sizeof(report) && report.step == TRACE_READY) {
                *ret = tracer;
                return 0;
        }
        go_write = safe_close(go_write);
        r = wait_for(tracer, &status);
        if (r < 0)
                return refuse(f, r, "cannot wait for the tracing process: %m");
        return n == sizeof(report) ? explain(o, s, &report, f) : explain_end(status, f);
}
