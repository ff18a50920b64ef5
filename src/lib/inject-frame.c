/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "lib/inject-frame.h"
#include "shared/macro.h"

#define RED_ZONE 128U /* below the stack pointer, belongs to leaf functions: System V ABI */

#define FXSAVE_SIZE 512U
#define SW_BYTES_OFFSET 464U
#define XSAVE_HEADER_OFFSET 512U
#define XSAVE_MIN 576U

#define FEATURE_FP_SSE 0x3U
#define FEATURE_TILEDATA (UINT64_C(1) << 18)

/* arch/x86/include/uapi/asm/ucontext.h of the kernel; glibc keeps them to itself. */
#define FLAG_FP_XSTATE 0x1U
#define FLAG_SIGCONTEXT_SS 0x2U
#define FLAG_STRICT_RESTORE_SS 0x4U

/* Neither SS_ONSTACK nor SS_DISABLE: sigreturn passes over it and the thread keeps the alternate
 * stack that it has, which a tracer cannot ask for. */
#define KEEP_ALTERNATE_STACK 3

/* What the kernel puts on the stack, without the saved floating point state that lies above. */
struct kernel_frame {
        uint64_t restorer;
        uint64_t flags, link;
        struct {
                uint64_t sp;
                uint32_t flags, pad;
                uint64_t size;
        } stack;
        struct sigcontext context;
        uint64_t mask;
        uint8_t siginfo[128];
};
_Static_assert(sizeof(struct sigcontext) == 256, "as the kernel has it");
_Static_assert(sizeof(struct kernel_frame) == 440, "as the kernel has it");
_Static_assert(offsetof(struct kernel_frame, context.rsp) == MM_INJECT_FRAME_SP, "as the header says");

void mm_inject_xstate_layout(uint64_t features, struct mm_inject_xstate_layout *ret)
{
        ret->size = ret->size_full = XSAVE_MIN;

        for (unsigned i = 2; i < 63; i++) {
                unsigned size, offset, c, d;

                if ((features & (UINT64_C(1) << i)) == 0)
                        continue;
                __cpuid_count(0xd, i, size, offset, c, d);
                ret->size_full = MAX(ret->size_full, (size_t) offset + size);
                if ((FEATURE_TILEDATA & (UINT64_C(1) << i)) == 0)
                        ret->size = MAX(ret->size, (size_t) offset + size);
        }
}

uint64_t mm_inject_xstate_features(const uint8_t *xstate, size_t size)
{
        uint64_t features = 0;

        if (size >= XSAVE_MIN)
                memcpy(&features, xstate + SW_BYTES_OFFSET, sizeof(features));
        return features;
}

/* Turns the copy of the thread's own state into what sigreturn takes for its own work. */
static void seal_xstate(uint8_t *state, uint64_t features, const struct mm_inject_xstate_layout *layout)
{
        const uint32_t magic = FP_XSTATE_MAGIC2;
        uint64_t used, none = 0;
        struct _fpx_sw_bytes sw = { .magic1 = FP_XSTATE_MAGIC1 };
        bool tiles;

        memcpy(&used, state + XSAVE_HEADER_OFFSET, sizeof(used));
        tiles = (used & FEATURE_TILEDATA) != 0;
        used |= FEATURE_FP_SSE;
        memcpy(state + XSAVE_HEADER_OFFSET, &used, sizeof(used));
        memcpy(state + XSAVE_HEADER_OFFSET + 8, &none, sizeof(none)); /* the format is not compacted */

        sw.xstate_size = (uint32_t) (tiles ? layout->size_full : layout->size);
        sw.extended_size = sw.xstate_size + (uint32_t) sizeof(magic);
        sw.xstate_bv = (features & ~FEATURE_TILEDATA) | used;
        memcpy(state + SW_BYTES_OFFSET, &sw, sizeof(sw));

        /* Before Linux 6.17 the mark is sought where the sizes just written say, from then on at the
         * end of what the kernel keeps for the thread, which is the full size if it has ever used
         * tiles. It can stand in both places: unused tiles are not read. */
        if (!tiles)
                memcpy(state + layout->size, &magic, sizeof(magic));
        memcpy(state + layout->size_full, &magic, sizeof(magic));
}

static void fill_context(struct sigcontext *c, const struct user_regs_struct *regs, uint64_t mask,
                         uint64_t state)
{
        *c = (struct sigcontext) {
                .r8 = regs->r8, .r9 = regs->r9, .r10 = regs->r10, .r11 = regs->r11,
                .r12 = regs->r12, .r13 = regs->r13, .r14 = regs->r14, .r15 = regs->r15,
                .rdi = regs->rdi, .rsi = regs->rsi, .rbp = regs->rbp, .rbx = regs->rbx,
                .rdx = regs->rdx, .rax = regs->rax, .rcx = regs->rcx, .rsp = regs->rsp,
                .rip = regs->rip, .eflags = regs->eflags,
                .cs = (uint16_t) regs->cs, .__pad0 = (uint16_t) regs->ss, /* newer kernels keep ss there */
                .oldmask = mask,
                .__fpstate_word = state,
        };
}

int mm_inject_frame_build(const struct user_regs_struct *regs, uint64_t mask, const uint8_t *xstate,
                          size_t xstate_size, const struct mm_inject_xstate_layout *layout,
                          uint64_t restorer, struct mm_inject_frame *ret)
{
        bool extended = xstate_size >= XSAVE_MIN;
        size_t state_size;
        uint64_t state_at, at;
        struct kernel_frame head = { 0 };

        if (xstate_size > 0 && xstate_size < FXSAVE_SIZE)
                return -EINVAL;
        state_size = extended ? layout->size_full + sizeof(uint32_t) : xstate_size > 0 ? FXSAVE_SIZE : 0;
        if (state_size > MM_INJECT_XSTATE_MAX)
                return -E2BIG;
        if (regs->rsp < RED_ZONE + MM_INJECT_FRAME_MAX)
                return -EINVAL;

        state_at = (regs->rsp - RED_ZONE - state_size) & ~UINT64_C(63); /* for XRSTOR */
        at = ((state_at - sizeof(head)) & ~UINT64_C(15)) - 8;           /* as on entry to a function */

        head.restorer = restorer;
        head.flags = (extended ? FLAG_FP_XSTATE : 0) | FLAG_SIGCONTEXT_SS | FLAG_STRICT_RESTORE_SS;
        head.stack.flags = KEEP_ALTERNATE_STACK;
        head.mask = mask;
        fill_context(&head.context, regs, mask, state_size > 0 ? state_at : 0);

        ret->address = at;
        ret->size = state_at + state_size - at;
        memset(ret->bytes, 0, ret->size);
        memcpy(ret->bytes, &head, sizeof(head));
        if (state_size > 0)
                memcpy(ret->bytes + (state_at - at), xstate,
                       MIN(xstate_size, extended ? layout->size_full : FXSAVE_SIZE));
        if (extended)
                seal_xstate(ret->bytes + (state_at - at), mm_inject_xstate_features(xstate, xstate_size),
                            layout);
        return 0;
}
