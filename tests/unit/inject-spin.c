/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <asm/prctl.h>
#include <cpuid.h>
#include <immintrin.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inject-spin.h"

#define XSAVE_MAX 12288U
#define FEATURES UINT64_C(0xe7)      /* x87, SSE, AVX, AVX-512 */
#define FEATURES_AMX UINT64_C(0x60000)
#define FEATURE_CONFIG 17U
#define FEATURE_TILES 18U

/* The offsets are spelled out in the assembly below. */
struct spin {
        uint64_t features;      /* 0 */
        uint64_t loops;         /* 8 */
        uint64_t red_zone;      /* 16: what is left of the pattern when all of it is xored */
        uint64_t carry;         /* 24 */
        uint64_t in[15];        /* 32: rax rbx rcx rdx rsi rdi rbp r8 ... r15 */
        uint64_t out[15];       /* 152 */
        uint64_t sp_in, sp_out; /* 272, 280 */
        uint8_t reserved[32];
        uint8_t state_in[XSAVE_MAX];  /* 320 */
        uint8_t state_out[XSAVE_MAX]; /* 12608 */
};
_Static_assert(offsetof(struct spin, state_in) == 320 && offsetof(struct spin, state_out) == 12608,
               "see below");
_Static_assert(offsetof(struct spin, sp_in) == 272 && offsetof(struct spin, out) == 152, "see below");

void spin_run(struct spin *s);

__asm__(".text\n"
        ".globl spin_run\n"
        ".type spin_run, @function\n"
        "spin_run:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "push %rdi\n"     /* 8(%rsp) from here on: the structure */
        "push 8(%rdi)\n"  /* (%rsp): how often to go around */
        "mov %rsp, 272(%rdi)\n"
        "mov (%rdi), %eax\n"
        "xor %edx, %edx\n"
        "xrstor64 320(%rdi)\n"
        "mov $-128, %rcx\n"
        "1: mov %rcx, (%rsp,%rcx)\n"
        "add $8, %rcx\n"
        "jnz 1b\n"
        "mov 32(%rdi), %rax; mov 40(%rdi), %rbx; mov 48(%rdi), %rcx; mov 56(%rdi), %rdx\n"
        "mov 64(%rdi), %rsi; mov 80(%rdi), %rbp; mov 88(%rdi), %r8; mov 96(%rdi), %r9\n"
        "mov 104(%rdi), %r10; mov 112(%rdi), %r11; mov 120(%rdi), %r12; mov 128(%rdi), %r13\n"
        "mov 136(%rdi), %r14; mov 144(%rdi), %r15; mov 72(%rdi), %rdi\n"
        "stc\n"
        "2: pause\n"
        "decq (%rsp)\n" /* leaves the carry flag alone */
        "jnz 2b\n"
        "xchg 8(%rsp), %rdi\n"
        "setc 24(%rdi)\n"
        "mov %rax, 152(%rdi); mov %rbx, 160(%rdi); mov %rcx, 168(%rdi); mov %rdx, 176(%rdi)\n"
        "mov %rsi, 184(%rdi); mov %rbp, 200(%rdi); mov %r8, 208(%rdi); mov %r9, 216(%rdi)\n"
        "mov %r10, 224(%rdi); mov %r11, 232(%rdi); mov %r12, 240(%rdi); mov %r13, 248(%rdi)\n"
        "mov %r14, 256(%rdi); mov %r15, 264(%rdi); mov 8(%rsp), %rax; mov %rax, 192(%rdi)\n"
        "mov (%rdi), %eax\n"
        "xor %edx, %edx\n"
        "xsave64 12608(%rdi)\n"
        "mov %rsp, 280(%rdi)\n"
        "xor %eax, %eax\n"
        "mov $-128, %rcx\n"
        "3: mov (%rsp,%rcx), %rdx\n"
        "xor %rcx, %rdx\n"
        "or %rdx, %rax\n"
        "add $8, %rcx\n"
        "jnz 3b\n"
        "mov %rax, 16(%rdi)\n"
        "fninit\n" /* as a caller may expect them */
        "push $0x1f80; ldmxcsr (%rsp)\n"
        "add $24, %rsp\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n"
        ".size spin_run, . - spin_run\n");

static uint64_t next(uint64_t *seed)
{
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

static void fill(struct spin *s, unsigned offset, unsigned size, uint64_t *seed)
{
        for (unsigned i = 0; i < size; i += 8) {
                uint64_t v = next(seed);

                memcpy(s->state_in + offset + i, &v, 8);
        }
}

__attribute__((__target__("xsave"))) static uint64_t enabled_features(void)
{
        return _xgetbv(0);
}

static void find_component(unsigned i, unsigned *size, unsigned *offset)
{
        unsigned c, d;

        __cpuid_count(0xd, i, *size, *offset, c, d);
        if (*offset + *size > XSAVE_MAX)
                abort();
}

static void fill_component(struct spin *s, unsigned i, uint64_t *seed)
{
        static const uint8_t config[64] = {
                [0] = 1, /* the only palette: eight tiles of 16 rows of 64 bytes */
                [16] = 64, [18] = 64, [20] = 64, [22] = 64, [24] = 64, [26] = 64, [28] = 64, [30] = 64,
                [48] = 16, 16, 16, 16, 16, 16, 16, 16,
        };
        unsigned size, offset;

        find_component(i, &size, &offset);
        if (i == FEATURE_CONFIG)
                memcpy(s->state_in + offset, config, sizeof(config));
        else
                fill(s, offset, size, seed);
}

/* Uses the tiles once and puts them back into their initial state. */
__attribute__((__target__("xsave"))) static void leave_tiles(struct spin *s)
{
        if ((s->features & FEATURES_AMX) == 0)
                return;
        s->loops = 1;
        spin_run(s);

        memset(s->state_out, 0, sizeof(s->state_out));
        _xrstor64(s->state_out, FEATURES_AMX);
        s->features &= ~FEATURES_AMX;
        memcpy(s->state_in + 512, &s->features, sizeof(s->features));
        for (unsigned i = FEATURE_CONFIG; i <= FEATURE_TILES; i++) {
                unsigned size, offset;

                find_component(i, &size, &offset);
                memset(s->state_in + offset, 0, size);
        }
}

struct spin *spin_new(uint64_t seed, enum spin_tiles tiles)
{
        static const uint16_t control = 0x0c7f; /* rounds towards zero, all exceptions masked */
        static const uint8_t tags = 0xff;       /* all eight in use */
        static const uint32_t mxcsr = 0x5f80;   /* rounds up */
        struct spin *s;

        s = aligned_alloc(64, sizeof(*s));
        if (!s)
                abort();
        memset(s, 0, sizeof(*s));
        s->features = enabled_features() & FEATURES;
        if (tiles != SPIN_TILES_NEVER && (enabled_features() & FEATURES_AMX) == FEATURES_AMX) {
                if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, FEATURE_TILES) < 0)
                        abort();
                s->features |= FEATURES_AMX;
        }

        fill(s, 32, 128, &seed); /* st0 ... st7; their upper six bytes are not kept */
        for (unsigned i = 0; i < 8; i++)
                memset(s->state_in + 32 + i * 16 + 10, 0, 6);
        fill(s, 160, 256, &seed);
        memcpy(s->state_in, &control, sizeof(control));
        memcpy(s->state_in + 4, &tags, sizeof(tags));
        memcpy(s->state_in + 24, &mxcsr, sizeof(mxcsr));
        for (unsigned i = 2; i <= FEATURE_TILES; i++)
                if ((s->features & (UINT64_C(1) << i)) != 0)
                        fill_component(s, i, &seed);
        memcpy(s->state_in + 512, &s->features, sizeof(s->features));
        for (unsigned i = 0; i < 15; i++)
                s->in[i] = next(&seed);

        if (tiles == SPIN_TILES_BEFORE)
                leave_tiles(s);
        return s;
}

const char *spin_check(struct spin *s, uint64_t loops)
{
        s->loops = loops;
        memset(s->state_out, 0, sizeof(s->state_out));
        spin_run(s);

        if (s->sp_in != s->sp_out)
                return "the stack pointer";
        if (memcmp(s->in, s->out, sizeof(s->in)) != 0)
                return "a general register";
        if (s->carry != 1)
                return "the flags";
        if (s->red_zone != 0)
                return "the red zone";
        if (memcmp(s->state_in, s->state_out, 5) != 0 ||
            memcmp(s->state_in + 32, s->state_out + 32, 128) != 0)
                return "an x87 register";
        if (memcmp(s->state_in + 24, s->state_out + 24, 4) != 0)
                return "MXCSR";
        if (memcmp(s->state_in + 160, s->state_out + 160, 256) != 0)
                return "an SSE register";
        if (memcmp(s->state_in + 576, s->state_out + 576, XSAVE_MAX - 576) != 0)
                return "an AVX register";
        return NULL;
}
