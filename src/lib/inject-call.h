/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/user.h>

/* What becomes of a system call that a trap interrupts: signal(7), "Interruption of system calls and
 * library functions by stop signals". x86-64. */

enum mm_inject_call {
        MM_INJECT_CALL_EXACT,       /* the kernel starts it anew and nobody can tell */
        MM_INJECT_CALL_ENDLESS,     /* gives up with EINTR, or swaps the signal mask; has no timeout */
        MM_INJECT_CALL_UNKNOWN,     /* not in our table */
        MM_INJECT_CALL_TIMED,       /* goes on where it was by way of restart_syscall(2) */
        MM_INJECT_CALL_TIMED_EINTR, /* gives up with EINTR; if it is repeated its timeout begins anew */
};

/* @args as in /proc/PID/syscall; those behind the fourth are not looked at. */
enum mm_inject_call mm_inject_call_kind(int64_t nr, const uint64_t args[4]);

/* Whether a thread with these registers was taken out of a system call that is not done: what the
 * kernel does with it depends on what comes next. */
bool mm_inject_call_interrupted(const struct user_regs_struct *regs);

/* The registers with which a thread that stopped with @regs can go on by itself, through
 * rt_sigreturn(2), which knows of no interrupted system calls. */
void mm_inject_resume_regs(const struct user_regs_struct *regs, struct user_regs_struct *ret);

/* The registers with which a thread that stopped with @regs leaves the trap. Mostly @regs: the
 * kernel looks after its own error codes. @signals: some are waiting to be delivered. */
void mm_inject_leave_regs(const struct user_regs_struct *regs, bool signals, struct user_regs_struct *ret);
