/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <linux/rseq.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "lib/inject-call.h"
#include "lib/inject-stop.h"
#include "shared/clock.h"
#include "shared/macro.h"

/* How long to wait for a thread that has stopped once to do so again. */
#define AGAIN_LIMIT_USEC (1000U * 1000U)

#define SIGNALS_MAX 16U

/* Linux 6.4; not in the headers that this has to be built with. */
#define REQUEST_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211

#define STACK_SCAN_MAX (256U * 1024U)

enum mm_inject_result mm_inject_stop(struct mm_inject_trace *t, uint64_t end_usec)
{
        int request = PTRACE_INTERRUPT;

        for (unsigned n_signals = 0;; n_signals++) {
                /* A stop for a signal uses up the trap that was asked for. */
                if (mm_inject_trace_request(t, PTRACE_INTERRUPT, 0, 0) < 0)
                        return MM_INJECT_GONE;
                if (request == PTRACE_CONT &&
                    mm_inject_trace_request(t, PTRACE_CONT, 0, (uint64_t) t->signal) < 0)
                        return MM_INJECT_GONE;
                /* It has to get to run for that. If it does not, it sleeps where nothing but SIGKILL
                 * reaches it, or its cgroup is throttled or frozen. */
                if (mm_inject_trace_wait(t, end_usec) < 0)
                        return MM_INJECT_STOPPED;

                switch (t->stop) {
                case MM_INJECT_STOP_TRAP:
                        return MM_INJECT_OK;
                case MM_INJECT_STOP_ENDED:
                        return MM_INJECT_NO_PLACE;
                case MM_INJECT_STOP_GROUP:
                        /* Letting go leaves a stop of job control as it is. */
                        (void) mm_inject_trace_request(t, PTRACE_DETACH, 0, 0);
                        return MM_INJECT_STOPPED;
                case MM_INJECT_STOP_CALL:
                case MM_INJECT_STOP_EXEC: /* only who asks for it gets it */
                        t->signal = 0;
                        break;
                case MM_INJECT_STOP_SIGNAL:
                        if (n_signals < SIGNALS_MAX)
                                break;
                        (void) mm_inject_trace_request(t, PTRACE_DETACH, 0, (uint64_t) t->signal);
                        return MM_INJECT_BUSY;
                }
                request = PTRACE_CONT;
        }
}

int mm_inject_stop_again(struct mm_inject_trace *t)
{
        int r;

        for (unsigned i = 0; i < 4; i++) { /* entry and exit of a call may lie between here and the trap */
                r = mm_inject_trace_request(t, PTRACE_INTERRUPT, 0, 0);
                if (r >= 0 && t->standing)
                        r = mm_inject_trace_request(t, PTRACE_CONT, 0, 0);
                if (r < 0)
                        return r;
                r = mm_inject_trace_wait(t, clock_usec(CLOCK_MONOTONIC) + AGAIN_LIMIT_USEC);
                if (r < 0)
                        return r;
                if (t->stop != MM_INJECT_STOP_CALL)
                        return 0;
        }
        return -ETIMEDOUT;
}

int mm_inject_stop_read(struct mm_inject_trace *t, struct mm_inject_state *ret)
{
        struct iovec iov = { .iov_base = ret->xstate, .iov_len = sizeof(ret->xstate) };
        int r;

        r = mm_inject_trace_pointer(t, PTRACE_GETREGS, 0, &ret->regs);
        if (r < 0)
                return r;
        /* Of a thread in sigsuspend(2) and the like this is the mask that it will have again. */
        r = mm_inject_trace_pointer(t, PTRACE_GETSIGMASK, sizeof(ret->mask), &ret->mask);
        if (r < 0)
                return r;
        r = mm_inject_trace_pointer(t, PTRACE_GETREGSET, NT_X86_XSTATE, &iov);
        if (r >= 0) {
                ret->xstate_size = iov.iov_len;
                return 0;
        }
        ret->xstate_size = sizeof(struct user_fpregs_struct);
        return mm_inject_trace_pointer(t, PTRACE_GETFPREGS, 0, ret->xstate);
}

static bool in_restartable_sequence(struct mm_inject_trace *t, int mem_fd, uint64_t ip)
{
        struct __ptrace_rseq_configuration c = { 0 };
        uint64_t pointer;
        struct rseq_cs cs;

        if (mm_inject_trace_pointer(t, PTRACE_GET_RSEQ_CONFIGURATION, sizeof(c), &c) < 0 ||
            c.rseq_abi_pointer == 0)
                return false;
        if (pread(mem_fd, &pointer, sizeof(pointer),
                  (off_t) (c.rseq_abi_pointer + offsetof(struct rseq, rseq_cs))) != sizeof(pointer))
                return true;
        if (pointer == 0)
                return false;
        if (pread(mem_fd, &cs, sizeof(cs), (off_t) pointer) != sizeof(cs))
                return true;
        return ip - cs.start_ip < cs.post_commit_offset;
}

static bool dispatches_system_calls(struct mm_inject_trace *t)
{
        struct {
                uint64_t mode, selector, offset, len;
        } c = { 0 };

        return mm_inject_trace_pointer(t, REQUEST_GET_SYSCALL_USER_DISPATCH_CONFIG, sizeof(c), &c) >= 0 &&
               c.mode != 0;
}

enum mm_inject_result mm_inject_stop_judge(struct mm_inject_trace *t, int mem_fd,
                                           const struct mm_inject_state *s)
{
        static const uint8_t door[] = { 0x0f, 0x05 };
        uint8_t code[sizeof(door)];

        if (dispatches_system_calls(t))
                return MM_INJECT_SECCOMP;
        if (!mm_inject_call_interrupted(&s->regs))
                return in_restartable_sequence(t, mem_fd, s->regs.rip) ? MM_INJECT_BUSY : MM_INJECT_OK;

        /* int $0x80 numbers its calls otherwise. */
        if (pread(mem_fd, code, sizeof(code), (off_t) (s->regs.rip - sizeof(code))) != sizeof(code) ||
            memcmp(code, door, sizeof(code)) != 0)
                return MM_INJECT_NO_PLACE;
        return MM_INJECT_OK;
}

bool mm_inject_stop_on_alternate_stack(int mem_fd, const struct mm_areas *areas,
                                       const struct mm_inject_code *code, uint64_t sp)
{
        const struct mm_area *a = mm_areas_find(areas, sp);
        _cleanup_(freep) uint8_t *stack = NULL;
        uint64_t size;

        if (!a)
                return true;
        size = MIN(a->end - sp, (uint64_t) STACK_SCAN_MAX);
        stack = malloc(size);
        if (!stack || pread(mem_fd, stack, size, (off_t) sp) != (ssize_t) size)
                return true;

        /* A frame of the kernel begins with the address of the restorer and holds the stack pointer
         * of what it interrupted. That is above the frame, unless the stack was changed. One that
         * an earlier signal left behind has its stack pointer above ours as well. */
        for (uint64_t i = (0 - sp) & 7; i + MM_INJECT_FRAME_SP + sizeof(uint64_t) <= size;
             i += sizeof(uint64_t)) {
                uint64_t restorer, interrupted;

                memcpy(&restorer, stack + i, sizeof(restorer));
                if (restorer != code->restorer)
                        continue;
                memcpy(&interrupted, stack + i + MM_INJECT_FRAME_SP, sizeof(interrupted));
                if (interrupted >= a->start && interrupted < sp)
                        return true;
        }
        return false;
}

enum mm_inject_result mm_inject_stop_by_us(struct mm_inject_trace *t, int *signal)
{
        siginfo_t info = { 0 };

        if (mm_inject_trace_pointer(t, PTRACE_GETSIGINFO, 0, &info) < 0 || info.si_code <= 0)
                return MM_INJECT_BUSY;
        switch (info.si_signo) {
        case SIGSYS:
                *signal = 0;
                return MM_INJECT_SECCOMP;
        case SIGSEGV:
        case SIGBUS:
        case SIGILL:
        case SIGFPE:
        case SIGTRAP:
                *signal = 0;
                return MM_INJECT_NO_PLACE;
        default:
                return MM_INJECT_BUSY;
        }
}
