/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

/* The signal frame below a thread's stack that leads it back to where it was, by rt_sigreturn(2),
 * whether there is still a tracer or not. x86-64. */

/* The largest XSAVE area so far, with AMX, takes 11008 bytes. */
#define MM_INJECT_XSTATE_MAX 14336U
#define MM_INJECT_FRAME_MAX 15360U

/* Where in a signal frame the interrupted thread's stack pointer is. */
#define MM_INJECT_FRAME_SP 168U

/* Sizes of XSAVE areas on this CPU as the kernel has set it up. */
struct mm_inject_xstate_layout {
        size_t size;      /* of a thread that uses none of the features that must be asked for */
        size_t size_full; /* of one that uses all of them */
};

/* @features: XCR0. Asks the CPU. */
void mm_inject_xstate_layout(uint64_t features, struct mm_inject_xstate_layout *ret);

/* The kernel leaves XCR0 in the bytes of an XSAVE area that the CPU does not use. */
uint64_t mm_inject_xstate_features(const uint8_t *xstate, size_t size);

struct mm_inject_frame {
        uint64_t address;
        size_t size;
        uint8_t bytes[MM_INJECT_FRAME_MAX];
};

/* A frame for a thread that shall go on with @regs (mm_inject_resume_regs()), signal @mask and
 * @xstate, as PTRACE_GETREGSET gives it; from a CPU without XSAVE the 512 bytes of
 * PTRACE_GETFPREGS. It lies below @regs->rsp and the red zone. 0, -E2BIG, -EINVAL. */
int mm_inject_frame_build(const struct user_regs_struct *regs, uint64_t mask, const uint8_t *xstate,
                          size_t xstate_size, const struct mm_inject_xstate_layout *layout,
                          uint64_t restorer, struct mm_inject_frame *ret);
