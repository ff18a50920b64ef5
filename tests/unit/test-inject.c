/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What injection decides on, without a process to inject into. */
#include <elf.h>
#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/inject-call.h"
#include "lib/inject-code.h"
#include "lib/inject-frame.h"
#include "lib/inject-plan.h"
#include "lib/inject-proc.h"
#include "lib/inject-thread.h"
#include "lib/inject-trace.h"

#define ERESTARTSYS 512
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

static struct mm_areas areas_of(const char *text)
{
        struct mm_areas a;

        g_assert_cmpint(mm_areas_parse(strdup(text), strlen(text), &a), ==, 0);
        return a;
}

static void expect_resume(int64_t nr, int64_t result, uint64_t rdx, bool again, int64_t expected)
{
        const struct user_regs_struct regs = {
                .rip = 0x1002, .rax = (uint64_t) result, .orig_rax = (uint64_t) nr, .rdx = rdx, .rbx = 7,
        };
        struct user_regs_struct out;

        mm_inject_resume_regs(&regs, &out);
        g_assert_cmphex(out.rip, ==, again ? 0x1000 : 0x1002);
        g_assert_cmpint((int64_t) out.rax, ==, again ? nr : expected);
        g_assert_cmpint((int64_t) out.orig_rax, ==, -1);
        g_assert_cmpint(out.rbx, ==, 7);
}

static void test_resume(void)
{
        expect_resume(SYS_read, -ERESTARTSYS, 0, true, 0);
        expect_resume(SYS_pause, -ERESTARTNOHAND, 0, true, 0);
        expect_resume(SYS_epoll_wait, -EINTR, 0, true, 0);
        expect_resume(SYS_poll, -ERESTART_RESTARTBLOCK, (uint32_t) -1, true, 0);
        expect_resume(SYS_poll, -ERESTART_RESTARTBLOCK, 100, false, -EINTR);
        expect_resume(SYS_nanosleep, -ERESTART_RESTARTBLOCK, 0, false, -EINTR);
        expect_resume(SYS_restart_syscall, -ERESTART_RESTARTBLOCK, 0, false, -EINTR);
        expect_resume(SYS_connect, -EINTR, 0, false, -EINTR);
        expect_resume(SYS_getpid, 42, 0, false, 42);
        /* Not in a call, whatever rax happens to hold. */
        expect_resume(-1, -ERESTARTSYS, 0, false, -ERESTARTSYS);
}

static void test_leave(void)
{
        struct user_regs_struct regs = { .rip = 0x1002,
                                         .rax = (uint64_t) -EINTR,
                                         .orig_rax = SYS_epoll_wait },
                                out;

        mm_inject_leave_regs(&regs, false, &out);
        g_assert_cmphex(out.rip, ==, 0x1000);
        g_assert_cmpint(out.rax, ==, SYS_epoll_wait);
        g_assert_cmpint((int64_t) out.orig_rax, ==, -1);

        mm_inject_leave_regs(&regs, true, &out);
        g_assert_cmpint(memcmp(&regs, &out, sizeof(out)), ==, 0);

        regs.orig_rax = SYS_connect;
        mm_inject_leave_regs(&regs, false, &out);
        g_assert_cmpint(memcmp(&regs, &out, sizeof(out)), ==, 0);

        regs.orig_rax = SYS_nanosleep;
        regs.rax = (uint64_t) -ERESTART_RESTARTBLOCK; /* the kernel's own business */
        mm_inject_leave_regs(&regs, false, &out);
        g_assert_cmpint(memcmp(&regs, &out, sizeof(out)), ==, 0);
}

static unsigned rank_of(const char *syscall_text, const char *stat_text)
{
        struct mm_inject_thread t = { 0 };

        g_assert_cmpint(mm_inject_thread_parse_stat(stat_text, &t), ==, 0);
        g_assert_cmpint(mm_inject_thread_parse_syscall(syscall_text, &t), ==, 0);
        return mm_inject_thread_rank(&t);
}

static void test_rank(void)
{
        /* Each a little worse than the one before. */
        static const char *const calls[] = {
                "0 0x3 0x7ffc0 0x1 0x0 0x0 0x0 0x7ffe0000 0x7f0000\n",            /* read */
                "running\n",
                "232 0x3 0x7ffc0 0x1 0xffffffff 0x0 0x8 0x7ffe0000 0x7f0000\n",   /* epoll_wait, for ever */
                "250 0x3 0x7ffc0 0x1 0x0 0x0 0x0 0x7ffe0000 0x7f0000\n",          /* keyctl */
                "35 0x7ffc0 0x0 0x0 0x0 0x0 0x0 0x7ffe0000 0x7f0000\n",           /* nanosleep */
                "232 0x3 0x7ffc0 0x1 0x64 0x0 0x8 0x7ffe0000 0x7f0000\n",         /* epoll_wait, 100 ms */
                "-1 0x7ffe0000 0x7f0000\n",                                       /* page fault */
        };
        static const char plain[] = "7 (a ) b) S 1 7 7 0 -1 4194304 0 0\n";
        unsigned last = 0;

        for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
                unsigned rank = rank_of(calls[i], plain);

                if (i > 0)
                        g_assert_cmpuint(rank, >, last);
                g_assert_cmpuint(rank, <, MM_INJECT_RANK_UNUSABLE);
                last = rank;
        }
        /* A futex with a timeout counts from the call on only if the operation is FUTEX_WAIT. */
        g_assert_cmpuint(rank_of("202 0x1 0x80 0x0 0x7ff0 0x0 0x0 0x7ffe0000 0x7f0000\n", plain), ==,
                         rank_of(calls[4], plain));
        g_assert_cmpuint(rank_of("202 0x1 0x189 0x0 0x7ff0 0x0 0x0 0x7ffe0000 0x7f0000\n", plain), ==,
                         rank_of(calls[0], plain));

        g_assert_cmpuint(rank_of(calls[1], "7 (a) D 1 7 7 0 -1 4194304 0 0\n"), ==, MM_INJECT_RANK_UNUSABLE);
        g_assert_cmpuint(rank_of(calls[1], "7 (a) T 1 7 7 0 -1 4194304 0 0\n"), ==, MM_INJECT_RANK_UNUSABLE);
        g_assert_cmpuint(rank_of(calls[1], "7 (iou-wrk-7) S 1 7 7 0 -1 4194368 0 0\n"), <,
                         MM_INJECT_RANK_UNUSABLE);
        g_assert_cmpuint(rank_of(calls[1], "7 (iou-wrk-7) S 1 7 7 0 -1 4194320 0 0\n"), ==,
                         MM_INJECT_RANK_UNUSABLE);
}

static void test_thread_text(void)
{
        struct mm_inject_thread t = { 0 };

        g_assert_cmpint(
                mm_inject_thread_parse_syscall("1 0xa 0xb 0xc 0xd 0xe 0xf 0x7ffe12340 0x7f0001\n", &t), ==,
                0);
        g_assert_cmpint(t.call, ==, 1);
        g_assert_cmphex(t.args[3], ==, 0xd);
        g_assert_cmphex(t.sp, ==, 0x7ffe12340);
        g_assert_cmpint(mm_inject_thread_parse_syscall("-1 0x7ffe12345 0x7f0001\n", &t), ==, 0);
        g_assert_cmpint(t.call, ==, MM_INJECT_NO_CALL);
        g_assert_cmphex(t.sp, ==, 0x7ffe12345);
        g_assert_cmpint(mm_inject_thread_parse_syscall("running\n", &t), ==, 0);
        g_assert_cmpint(t.call, ==, MM_INJECT_RUNNING);
        g_assert_cmphex(t.sp, ==, 0);
        g_assert_cmpint(mm_inject_thread_parse_syscall("1 0xa\n", &t), ==, -EINVAL);
        g_assert_cmpint(mm_inject_thread_parse_syscall("", &t), ==, -EINVAL);
        g_assert_cmpint(mm_inject_thread_parse_stat("7 (a", &t), ==, -EINVAL);
        g_assert_cmpint(mm_inject_thread_parse_stat("7 (a) S 1", &t), ==, -EINVAL);
}

static void test_stack(void)
{
        struct mm_areas a = areas_of("10000000-10100000 rw-p 00000000 00:00 0 [heap]\n"
                                     "20000000-20100000 rw-p 00000000 00:00 0 \n"
                                     "30000000-30001000 ---p 00000000 00:00 0 \n"
                                     "30001000-30100000 rw-p 00000000 00:00 0 \n"
                                     "40000000-40001000 ---p 00000000 00:00 0 \n"
                                     "40002000-40100000 rw-p 00000000 00:00 0 \n"
                                     "50000000-50001000 ---p 00000000 00:00 0 \n"
                                     "50001000-50100000 rw-s 00000000 00:01 9 /dev/zero (deleted)\n"
                                     "60000000-60001000 ---p 00000000 08:01 9 /lib/a.so\n"
                                     "60001000-60100000 rw-p 00000000 00:00 0 \n"
                                     "7ff000000000-7ff000021000 rw-p 00000000 00:00 0 [stack]\n");

        g_assert_true(mm_inject_stack_fits(&a, 0x7ff000020000, 0x30080000, 0x8000));
        g_assert_false(mm_inject_stack_fits(&a, 0x7ff000007fff, 0x30080000, 0x8000)); /* no room */
        g_assert_false(mm_inject_stack_fits(&a, 0x7ff000022000, 0, 0x8000));          /* nowhere */

        g_assert_true(mm_inject_stack_fits(&a, 0x30070000, 0x30080000, 0x8000));
        g_assert_true(mm_inject_stack_fits(&a, 0x30070000, 0, 0x8000));
        g_assert_false(
                mm_inject_stack_fits(&a, 0x30007000, 0x30080000, 0x8000)); /* no room above the guard */
        g_assert_false(mm_inject_stack_fits(&a, 0x30090000, 0x30080000, 0x8000)); /* above its own block */
        g_assert_false(
                mm_inject_stack_fits(&a, 0x30070000, 0x20080000, 0x8000)); /* another thread's block */

        g_assert_false(
                mm_inject_stack_fits(&a, 0x10070000, 0x10080000, 0x8000)); /* a coroutine on the heap */
        g_assert_false(mm_inject_stack_fits(&a, 0x20070000, 0x20080000, 0x8000)); /* no guard */
        g_assert_false(
                mm_inject_stack_fits(&a, 0x40070000, 0x40080000, 0x8000)); /* the guard is not next to it */
        g_assert_false(mm_inject_stack_fits(&a, 0x50070000, 0x50080000, 0x8000)); /* shared */
        g_assert_false(mm_inject_stack_fits(&a, 0x60070000, 0x60080000, 0x8000)); /* the gap of a library */
        mm_areas_done(&a);
}

static void test_code(void)
{
        static const uint8_t text[] = { 0x90, 0x0f, 0x05, 0x90, 0x48, 0xc7, 0xc0, 0x0f, 0x00,
                                        0x00, 0x00, 0x0f, 0x05, 0x0f, 0x05, 0xc3, 0x0f, 0x05,
                                        0xc3, 0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05 };
        struct mm_inject_code c = { 0 };

        mm_inject_code_scan(text, 3, 0x1000, &c);
        g_assert_cmphex(c.call, ==, 0);
        mm_inject_code_scan(text, sizeof(text), 0x1000, &c);
        g_assert_cmphex(c.call, ==, 0x100d);
        g_assert_cmphex(c.restorer, ==, 0x1004);
        mm_inject_code_scan(text + 16, sizeof(text) - 16, 0x2000, &c); /* the first stays */
        g_assert_cmphex(c.call, ==, 0x100d);

        c = (struct mm_inject_code) { 0 };
        mm_inject_code_scan(text + 16, sizeof(text) - 16, 0x2000, &c);
        g_assert_cmphex(c.restorer, ==, 0x2003);
}

static void test_layout(void)
{
        struct mm_inject_xstate_layout l;

        mm_inject_xstate_layout(0x3, &l);
        g_assert_cmpuint(l.size, ==, 576);
        g_assert_cmpuint(l.size_full, ==, 576);
        mm_inject_xstate_layout(0x7, &l); /* AVX has been there since 2011 */
        g_assert_cmpuint(l.size, ==, 832);
}

static struct mm_inject_frame built;
static uint32_t kernel_xstate_size, kernel_magic2;
static uint64_t kernel_xfeatures;

static void look_at_frame(int signal, siginfo_t *info, void *context)
{
        const uint8_t *state = (const uint8_t *) ((ucontext_t *) context)->uc_mcontext.fpregs;
        struct _fpx_sw_bytes sw;

        memcpy(&sw, state + 464, sizeof(sw));
        kernel_xstate_size = sw.magic1 == FP_XSTATE_MAGIC1 ? sw.xstate_size : 0;
        kernel_xfeatures = sw.xstate_bv;
        memcpy(&kernel_magic2, state + sw.xstate_size, sizeof(kernel_magic2));
}

/* The kernel's own frame for this process is the pattern. */
static void test_frame(void)
{
        struct sigaction action = { .sa_sigaction = look_at_frame, .sa_flags = SA_SIGINFO };
        struct user_regs_struct regs = {
                .rip = 0x1234, .rsp = 0x7ffe00012345, .r15 = 15, .rax = 5, .cs = 0x33, .ss = 0x2b
        };
        uint8_t xstate[MM_INJECT_XSTATE_MAX] = { 0 };
        struct mm_inject_xstate_layout layout;
        struct _fpx_sw_bytes sw;
        uint64_t state_at, v;
        uint32_t magic;

        g_assert_cmpint(sigaction(SIGUSR1, &action, NULL), ==, 0);
        g_assert_cmpint(raise(SIGUSR1), ==, 0);
        g_assert_cmphex(kernel_magic2, ==, FP_XSTATE_MAGIC2);

        mm_inject_xstate_layout(kernel_xfeatures, &layout);
        g_assert_cmpuint(layout.size, ==, kernel_xstate_size);

        memcpy(xstate + 464, &kernel_xfeatures, 8);
        v = 7;
        memcpy(xstate + 512, &v, 8);
        memset(xstate + 576, 0x5a, 256);
        g_assert_cmpint(mm_inject_frame_build(&regs, 0xabc, xstate, layout.size, &layout, 0x777, &built), ==,
                        0);

        g_assert_cmphex(built.address & 15, ==, 8);
        g_assert_cmphex(built.address + built.size, <=, regs.rsp - 128);
        memcpy(&v, built.bytes, 8);
        g_assert_cmphex(v, ==, 0x777);
        memcpy(&v, built.bytes + MM_INJECT_FRAME_SP, 8);
        g_assert_cmphex(v, ==, regs.rsp);
        memcpy(&v, built.bytes + 8 + 40, 8);
        g_assert_cmphex(v, ==, 0); /* r8 */
        memcpy(&v, built.bytes + 8 + 40 + 7 * 8, 8);
        g_assert_cmphex(v, ==, 15); /* r15 */
        memcpy(&v, built.bytes + 8 + 40 + 256, 8);
        g_assert_cmphex(v, ==, 0xabc);
        memcpy(&state_at, built.bytes + 8 + 40 + 184, 8);
        g_assert_cmphex(state_at & 63, ==, 0);
        g_assert_cmphex(state_at, >=, built.address + 440);

        memcpy(&sw, built.bytes + (state_at - built.address) + 464, sizeof(sw));
        g_assert_cmphex(sw.magic1, ==, FP_XSTATE_MAGIC1);
        g_assert_cmpuint(sw.xstate_size, ==, kernel_xstate_size);
        g_assert_cmpuint(sw.extended_size, ==, kernel_xstate_size + 4);
        memcpy(&magic, built.bytes + (state_at - built.address) + kernel_xstate_size, 4);
        g_assert_cmphex(magic, ==, FP_XSTATE_MAGIC2);
        g_assert_cmpint(built.bytes[state_at - built.address + 576 + 255], ==, 0x5a);

        layout.size_full = MM_INJECT_XSTATE_MAX;
        g_assert_cmpint(mm_inject_frame_build(&regs, 0, xstate, layout.size, &layout, 0x777, &built), ==,
                        -E2BIG);
        g_assert_cmpint(mm_inject_frame_build(&regs, 0, xstate, 100, &layout, 0x777, &built), ==, -EINVAL);
        regs.rsp = 0x1000;
        g_assert_cmpint(mm_inject_frame_build(&regs, 0, xstate, 512, &layout, 0x777, &built), ==, -EINVAL);
}

/* For a program that has not begun. */
static void test_frame_without_state(void)
{
        struct user_regs_struct regs = { .rsp = 0x7fffffffee00, .r15 = 15 };
        uint64_t state_at, v;

        g_assert_cmpint(mm_inject_frame_build(&regs, 0xabc, NULL, 0, NULL, 0x777, &built), ==, 0);
        g_assert_cmphex(built.address & 15, ==, 8);
        g_assert_cmphex(built.address + built.size, <=, regs.rsp - 128);
        memcpy(&v, built.bytes + 8, 8);
        g_assert_cmphex(v & 1, ==, 0); /* no extended state */
        memcpy(&v, built.bytes + MM_INJECT_FRAME_SP, 8);
        g_assert_cmphex(v, ==, regs.rsp);
        memcpy(&state_at, built.bytes + 8 + 40 + 184, 8);
        g_assert_cmphex(state_at, ==, 0);
}

static void test_tiles(void)
{
        struct user_regs_struct regs = { .rsp = 0x7ffe00000000 };
        const struct mm_inject_xstate_layout layout = { .size = 2816, .size_full = 11008 };
        uint8_t xstate[11008] = { 0 };
        uint64_t used = 0x7 | (1 << 17) | (1 << 18), state_at;
        struct _fpx_sw_bytes sw;

        memcpy(xstate + 512, &used, 8);
        memset(xstate + 2816, 0x77, 8192);
        g_assert_cmpint(mm_inject_frame_build(&regs, 0, xstate, sizeof(xstate), &layout, 0x777, &built), ==,
                        0);
        memcpy(&state_at, built.bytes + 8 + 40 + 184, 8);
        memcpy(&sw, built.bytes + (state_at - built.address) + 464, sizeof(sw));
        g_assert_cmpuint(sw.xstate_size, ==, 11008);
        g_assert_cmphex(sw.xstate_bv & used, ==, used);
        g_assert_cmpint(built.bytes[state_at - built.address + 2816], ==, 0x77); /* no mark in the tiles */
}

static void expect_piece(struct mm_inject_plan *p, const struct mm_areas *a, uint64_t start, uint64_t end,
                         int result)
{
        struct mm_inject_piece piece;

        g_assert_cmpint(mm_inject_plan_next(p, a, &piece), ==, 1);
        g_assert_cmphex(piece.start, ==, start);
        g_assert_cmphex(piece.end, ==, end);
        mm_inject_plan_done(p, &piece, result);
}

static void test_plan(void)
{
        struct mm_areas a = areas_of("10000000-10100000 rw-p 00000000 00:00 0 [heap]\n"
                                     "10100000-10200000 r--p 00000000 08:01 9 /lib/a.so\n"
                                     "10200000-10300000 rw-s 00000000 00:01 9 /dev/zero (deleted)\n"
                                     "10400000-10401000 rw-p 00000000 00:00 0 \n");
        struct mm_advice advices[] = {
                { 0x10000000, 0x10101000, MADV_MERGEABLE, 1, 0 },
                { 0x10080000, 0x10141000, MADV_UNMERGEABLE, 1, 0 },
                { 0x10180000, 0x10500000, MADV_MERGEABLE, 1, 0 },
                { 0x20000000, 0x20001000, MADV_MERGEABLE, 1, 0 },
                { 0x10000000, 0x10001000, MADV_MERGEABLE, 1, 0 },
                { 0x10000000, 0x10001000, MADV_UNMERGEABLE, 1, 0 },
                { 0x10400000, 0x10401000, MADV_MERGEABLE, 1, 0 },
        };
        struct mm_inject_plan p = { .advices = advices, .n = G_N_ELEMENTS(advices) };
        struct mm_inject_piece piece;

        expect_piece(&p, &a, 0x10000000, 0x10100000, 0);
        expect_piece(&p, &a, 0x10100000, 0x10101000, 0);
        g_assert_cmpint(advices[0].status, ==, 0);
        g_assert_cmphex(advices[0].done, ==, 0x101000);

        expect_piece(&p, &a, 0x10080000, 0x10100000, 0); /* 128 pages */
        g_assert_cmpint(advices[1].status, ==, 1);
        expect_piece(&p, &a, 0x10100000, 0x10141000, 0);
        g_assert_cmpint(advices[1].status, ==, 0);

        expect_piece(&p, &a, 0x10180000, 0x10200000, 0);
        expect_piece(&p, &a, 0x10400000, 0x10401000, 0);
        g_assert_cmphex(advices[2].done, ==, 0x81000);

        /* Before the next one the fourth turns out to have nothing below it. */
        expect_piece(&p, &a, 0x10000000, 0x10001000, -EINVAL);
        g_assert_cmpint(advices[2].status, ==, -ENOMEM);
        g_assert_cmpint(advices[3].status, ==, -ENOMEM);
        g_assert_cmpint(advices[3].done, ==, 0);
        g_assert_cmpint(advices[4].status, ==, -EINVAL);

        expect_piece(&p, &a, 0x10000000, 0x10001000, -ENOMEM); /* no memory to take pages apart: the end */
        g_assert_cmpint(mm_inject_plan_next(&p, &a, &piece), ==, 0);
        g_assert_cmpint(advices[5].status, ==, -ENOMEM);
        g_assert_cmpint(advices[6].status, ==, 1);
        mm_areas_done(&a);
}

static void test_status(void)
{
        g_assert_cmpint(mm_inject_judge_status("Name:\tSeccomp:\t1\nTracerPid:\t0\nSeccomp:\t0\n"), ==,
                        MM_INJECT_OK);
        g_assert_cmpint(mm_inject_judge_status("TracerPid:\t17\nSeccomp:\t0\n"), ==, MM_INJECT_TRACED);
        g_assert_cmpint(mm_inject_judge_status("TracerPid:\t0\nSeccomp:\t2\n"), ==, MM_INJECT_SECCOMP);
        g_assert_cmpint(mm_inject_judge_status("TracerPid:\t0\nx86_Thread_features:\tshstk wrss \n"), ==,
                        MM_INJECT_NO_PLACE);
        g_assert_cmpint(
                mm_inject_judge_status("x86_Thread_features:\t\nx86_Thread_features_locked:\tshstk \n"), ==,
                MM_INJECT_OK);

        g_assert_false(mm_inject_signals_wait("SigPnd:\t0000000000000000\nShdPnd:\t0000000000000200\n"
                                              "SigBlk:\t0000000000000200\n"));
        g_assert_true(mm_inject_signals_wait("SigPnd:\t0000000000000000\nShdPnd:\t0000000000000600\n"
                                             "SigBlk:\t0000000000000200\n"));
        g_assert_true(mm_inject_signals_wait("SigPnd:\t8000000000000000\nShdPnd:\t0\nSigBlk:\t0\n"));
}

static void test_auxv(void)
{
        const Elf64_auxv_t wide[] = { { AT_SYSINFO_EHDR, { 0x7fff0000 } },
                                      { AT_PAGESZ, { 4096 } },
                                      { AT_NULL, { 0 } } };
        const Elf32_auxv_t narrow[] = { { AT_SYSINFO_EHDR, { 0xf7ff0000 } },
                                        { AT_PAGESZ, { 4096 } },
                                        { AT_UID, { 0 } },
                                        { AT_NULL, { 0 } },
                                        { AT_NULL, { 0 } },
                                        { AT_NULL, { 0 } } };

        g_assert_true(mm_inject_auxv_is_64bit((const uint8_t *) wide, sizeof(wide)));
        g_assert_false(mm_inject_auxv_is_64bit((const uint8_t *) narrow, sizeof(narrow)));
        g_assert_false(mm_inject_auxv_is_64bit((const uint8_t *) wide, 7));
}

static void test_decode(void)
{
        int signal = 0;

        g_assert_cmpint(mm_inject_trace_decode(0, &signal), ==, MM_INJECT_STOP_ENDED);
        g_assert_cmpint(mm_inject_trace_decode(SIGKILL, &signal), ==, MM_INJECT_STOP_ENDED);
        g_assert_cmpint(mm_inject_trace_decode((128 << 16) | (SIGTRAP << 8) | 0x7f, &signal), ==,
                        MM_INJECT_STOP_TRAP);
        g_assert_cmpint(mm_inject_trace_decode((128 << 16) | (SIGTSTP << 8) | 0x7f, &signal), ==,
                        MM_INJECT_STOP_GROUP);
        g_assert_cmpint(mm_inject_trace_decode(((SIGTRAP | 0x80) << 8) | 0x7f, &signal), ==,
                        MM_INJECT_STOP_CALL);
        g_assert_cmpint(signal, ==, 0);
        g_assert_cmpint(mm_inject_trace_decode((SIGTRAP << 8) | 0x7f, &signal), ==, MM_INJECT_STOP_SIGNAL);
        g_assert_cmpint(signal, ==, SIGTRAP);
}

static void test_names(void)
{
        for (int i = 0; i < MM_INJECT_RESULT_MAX_; i++)
                for (int j = 0; j < i; j++)
                        g_assert_cmpstr(mm_inject_result_name(i), !=, mm_inject_result_name(j));
        g_assert_cmpstr(mm_inject_result_name(MM_INJECT_RESULT_MAX_), ==, "unknown");
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/inject/call/resume", test_resume);
        g_test_add_func("/inject/call/leave", test_leave);
        g_test_add_func("/inject/thread/text", test_thread_text);
        g_test_add_func("/inject/thread/rank", test_rank);
        g_test_add_func("/inject/thread/stack", test_stack);
        g_test_add_func("/inject/code", test_code);
        g_test_add_func("/inject/frame/layout", test_layout);
        g_test_add_func("/inject/frame/build", test_frame);
        g_test_add_func("/inject/frame/frame-without-state", test_frame_without_state);
        g_test_add_func("/inject/frame/tiles", test_tiles);
        g_test_add_func("/inject/plan", test_plan);
        g_test_add_func("/inject/proc/status", test_status);
        g_test_add_func("/inject/proc/auxv", test_auxv);
        g_test_add_func("/inject/trace/decode", test_decode);
        g_test_add_func("/inject/names", test_names);
        return g_test_run();
}
