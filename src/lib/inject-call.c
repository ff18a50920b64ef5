/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "lib/inject-call.h"
#include "shared/macro.h"

/* Not in any header for user space, but a tracer sees them: include/linux/errno.h of the kernel. */
#define KERNEL_ERESTARTSYS 512
#define KERNEL_ERESTARTNOINTR 513
#define KERNEL_ERESTARTNOHAND 514
#define KERNEL_ERESTART_RESTARTBLOCK 516

/* Newer than the headers that this has to be built with. */
#define CALL_EPOLL_PWAIT2 441

static bool futex_is_absolute(uint64_t op)
{
        /* FUTEX_WAIT alone counts its timeout from the call on, futex(2). */
        return (op & FUTEX_CMD_MASK) != FUTEX_WAIT;
}

enum mm_inject_call mm_inject_call_kind(int64_t nr, const uint64_t args[4])
{
        switch (nr) {
        case SYS_read:
        case SYS_readv:
        case SYS_write:
        case SYS_writev:
        case SYS_recvfrom:
        case SYS_recvmsg:
        case SYS_sendto:
        case SYS_sendmsg:
        case SYS_accept:
        case SYS_accept4:
        case SYS_wait4:
        case SYS_waitid:
        case SYS_pause:
        case SYS_flock:
        case SYS_fcntl:
        case SYS_openat:
        case SYS_open:
        case SYS_msgrcv:
        case SYS_msgsnd:
        case SYS_select: /* what is left of the timeout is written back before it starts anew */
                return MM_INJECT_CALL_EXACT;

        case SYS_futex:
                return args[3] == 0 || futex_is_absolute(args[1]) ? MM_INJECT_CALL_EXACT
                                                                  : MM_INJECT_CALL_TIMED;
        case SYS_poll:
                return (int) args[2] < 0 ? MM_INJECT_CALL_EXACT : MM_INJECT_CALL_TIMED;
        case SYS_clock_nanosleep:
                return (args[1] & 1) != 0 /* TIMER_ABSTIME */ ? MM_INJECT_CALL_EXACT : MM_INJECT_CALL_TIMED;

        case SYS_ppoll:
        case SYS_pselect6:
        case SYS_rt_sigsuspend:
        case SYS_semop:
        case SYS_io_uring_enter:
                return MM_INJECT_CALL_ENDLESS;
        case SYS_epoll_wait:
        case SYS_epoll_pwait:
                return (int) args[3] < 0 ? MM_INJECT_CALL_ENDLESS : MM_INJECT_CALL_TIMED_EINTR;
        case CALL_EPOLL_PWAIT2:
        case SYS_semtimedop:
                return args[3] == 0 ? MM_INJECT_CALL_ENDLESS : MM_INJECT_CALL_TIMED_EINTR;
        case SYS_rt_sigtimedwait:
                return args[2] == 0 ? MM_INJECT_CALL_ENDLESS : MM_INJECT_CALL_TIMED_EINTR;

        case SYS_nanosleep:
        case SYS_restart_syscall:
                return MM_INJECT_CALL_TIMED;

        case SYS_io_getevents:
        case SYS_io_pgetevents:
                return MM_INJECT_CALL_TIMED_EINTR;

        default:
                return MM_INJECT_CALL_UNKNOWN;
        }
}

/* Whether a call that returned EINTR on account of a trap may simply be made again: it has done
 * nothing yet. Not so for connect(2) or close(2). */
static bool repeats(int64_t nr)
{
        switch (nr) {
        case SYS_epoll_wait:
        case SYS_epoll_pwait:
        case CALL_EPOLL_PWAIT2:
        case SYS_semop:
        case SYS_semtimedop:
        case SYS_rt_sigtimedwait:
        case SYS_io_getevents:
        case SYS_io_pgetevents:
        case SYS_io_uring_enter:
        /* With a timeout set on the socket, SO_RCVTIMEO or SO_SNDTIMEO in socket(7). */
        case SYS_read:
        case SYS_readv:
        case SYS_recvfrom:
        case SYS_recvmsg:
        case SYS_write:
        case SYS_writev:
        case SYS_sendto:
        case SYS_sendmsg:
        case SYS_accept:
        case SYS_accept4:
                return true;
        default:
                return false;
        }
}

bool mm_inject_call_interrupted(const struct user_regs_struct *regs)
{
        if ((int64_t) regs->orig_rax < 0)
                return false;
        switch ((int64_t) regs->rax) {
        case -KERNEL_ERESTARTSYS:
        case -KERNEL_ERESTARTNOINTR:
        case -KERNEL_ERESTARTNOHAND:
        case -KERNEL_ERESTART_RESTARTBLOCK:
        case -EINTR:
                return true;
        default:
                return false;
        }
}

static void make_again(const struct user_regs_struct *regs, struct user_regs_struct *ret)
{
        ret->rip = regs->rip - 2; /* the length of the syscall instruction */
        ret->rax = regs->orig_rax;
        ret->orig_rax = UINT64_MAX;
}

void mm_inject_resume_regs(const struct user_regs_struct *regs, struct user_regs_struct *ret)
{
        const uint64_t args[4] = { regs->rdi, regs->rsi, regs->rdx, regs->r10 };
        int64_t nr = (int64_t) regs->orig_rax;

        *ret = *regs;
        ret->orig_rax = UINT64_MAX;
        if (!mm_inject_call_interrupted(regs))
                return;

        switch ((int64_t) regs->rax) {
        case -KERNEL_ERESTART_RESTARTBLOCK:
                /* rt_sigreturn(2) drops what the kernel remembers of such a call, so what remains is
                 * what a caught signal does. */
                if (mm_inject_call_kind(nr, args) == MM_INJECT_CALL_EXACT)
                        make_again(regs, ret);
                else
                        ret->rax = (uint64_t) -EINTR;
                break;
        case -EINTR:
                if (repeats(nr))
                        make_again(regs, ret);
                break;
        default:
                make_again(regs, ret);
                break;
        }
}

void mm_inject_leave_regs(const struct user_regs_struct *regs, bool signals, struct user_regs_struct *ret)
{
        *ret = *regs;
        if (!signals && mm_inject_call_interrupted(regs) && (int64_t) regs->rax == -EINTR &&
            repeats((int64_t) regs->orig_rax))
                make_again(regs, ret);
}
