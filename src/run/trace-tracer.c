/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/trace-tracer.h"

#include <linux/audit.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "lib/inject-code.h"
#include "lib/inject-frame.h"
#include "lib/inject-trace.h"
#include "shared/log.h"

#define PERSONALITY_QUERY 0xffffffffUL
#define SET_MEMORY_MERGE 67 /* PR_SET_MEMORY_MERGE of newer headers */

struct tracer {
        const struct trace_order *order;
        struct mm_inject_trace trace; /* of the launcher, which becomes the program */
        struct __ptrace_syscall_info info; /* of the call it stands at */
        bool executed;
        struct user_regs_struct regs; /* of the program before its first instruction */
        uint64_t mask;                /* its blocked signals */
        struct mm_inject_code code;
        struct mm_inject_frame frame; /* below its stack: the way back */
};

/* Nothing but SIGKILL and SIGSTOP gets here, and SIGSTOP not by way of the program's process group, which
 * somebody may let go on without us. */
static void seclude(void)
{
        struct sigaction plain = { .sa_handler = SIG_DFL };
        sigset_t mask;

        /* With SIG_IGN, which the program may have to inherit, none would come. */
        sigaction(SIGCHLD, &plain, NULL);
        sigfillset(&mask);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        setpgid(0, 0);
}

/* Closes all but @a, @b and standard error: what the program inherits is not ours to hold. */
static void close_others(int a, int b)
{
        unsigned low = (unsigned) MIN(a, b), high = (unsigned) MAX(a, b);

        close_range(0, STDERR_FILENO - 1, 0);
        if (low > STDERR_FILENO + 1)
                close_range(STDERR_FILENO + 1, low - 1, 0);
        if (high > low + 1)
                close_range(low + 1, high - 1, 0);
        close_range(high + 1, ~0U, 0);
}

/* All that will be done, the launcher's part too, is tried by this process first: what is not
 * permitted to it is not permitted to the launcher, and if a filter ends it that is the answer. */
static struct trace_report rehearse(const struct trace_order *o)
{
        siginfo_t info;

        if (setrlimit(RLIMIT_STACK, &o->exec_stack) < 0)
                return (struct trace_report){ TRACE_STACK, -errno };
        if (personality(o->exec_personality) < 0)
                return (struct trace_report){ TRACE_PERSONALITY, -errno };
        if (o->ksm && prctl(SET_MEMORY_MERGE, 1, 0, 0, 0) < 0)
                return (struct trace_report){ TRACE_KSM, -errno };
        if (waitid(P_PID, (id_t) getpid(), &info, WEXITED | WNOHANG | __WALL) >= 0 || errno != ECHILD)
                return (struct trace_report){ TRACE_WAIT, -errno };
        return (struct trace_report){ TRACE_READY, 0 };
}

static struct trace_report attach(struct tracer *t, pid_t launcher)
{
        int r;

        r = mm_inject_trace_seize(launcher, &t->trace);
        if (r >= 0)
                r = mm_inject_trace_request(&t->trace, PTRACE_INTERRUPT, 0, 0);
        if (r >= 0)
                r = mm_inject_trace_wait(&t->trace, UINT64_MAX);
        if (r >= 0)
                r = mm_inject_trace_request(&t->trace, PTRACE_SETOPTIONS, 0,
                                            PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
        /* With the limits that it has it may stay as it is. */
        if (r >= 0 && prlimit(launcher, RLIMIT_STACK, &t->order->stack, NULL) < 0)
                r = -errno;
        return (struct trace_report){ r < 0 ? TRACE_ATTACH : TRACE_READY, r };
}

/* To the next system call's beginning or end; what is none of our business happens as it would
 * without us. After a stop by job control the program goes on until it is let go, and stands then.
 * 0 or -ESRCH. */
static int go_on(struct tracer *t)
{
        int r;

        for (;;) {
                int signal = t->trace.stop == MM_INJECT_STOP_SIGNAL ? t->trace.signal : 0;

                (void) mm_inject_trace_request(&t->trace, PTRACE_SYSCALL, 0, (uint64_t) signal);
                r = mm_inject_trace_wait(&t->trace, UINT64_MAX);
                if (r < 0)
                        return r;
                if (t->trace.stop == MM_INJECT_STOP_ENDED)
                        return -ESRCH;
                if (t->trace.stop == MM_INJECT_STOP_EXEC)
                        t->executed = true;
                if (t->trace.stop == MM_INJECT_STOP_CALL)
                        return mm_inject_trace_pointer(&t->trace, PTRACE_GET_SYSCALL_INFO, sizeof(t->info),
                                                       &t->info);
        }
}

static int set_registers(struct tracer *t, const struct user_regs_struct *regs)
{
        return mm_inject_trace_pointer(&t->trace, PTRACE_SETREGS, 0, regs);
}

/* Whoever is let go with these registers makes the call, and returns from it into the frame, which leads to
 * the first instruction. */
static struct user_regs_struct call_registers(const struct tracer *t, uint64_t nr, const uint64_t args[4])
{
        struct user_regs_struct regs = t->regs;

        regs.rip = t->code.call;
        regs.rsp = t->frame.address;
        regs.rax = nr;
        regs.rdi = args[0];
        regs.rsi = args[1];
        regs.rdx = args[2];
        regs.r10 = args[3];
        return regs;
}

/* Has the program make a call. What it returns, or -errno. */
static int64_t call(struct tracer *t, uint64_t nr, uint64_t a, uint64_t b)
{
        struct user_regs_struct regs = call_registers(t, nr, (const uint64_t[4]){ a, b });
        int r;

        r = set_registers(t, &regs);
        if (r >= 0)
                r = go_on(t); /* the beginning */
        if (r >= 0)
                r = go_on(t);
        if (r >= 0 && t->info.op != PTRACE_SYSCALL_INFO_EXIT)
                r = -EPROTO;
        if (r >= 0)
                r = set_registers(t, &t->regs);
        return r < 0 ? r : t->info.exit.rval;
}

static int peek(struct tracer *t, uint64_t at, void *ret, size_t size)
{
        for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
                uint64_t word;
                int r;

                r = mm_inject_trace_pointer(&t->trace, PTRACE_PEEKTEXT, at + i, &word);
                if (r < 0)
                        return r;
                memcpy((uint8_t *) ret + i, &word, MIN(sizeof(word), size - i));
        }
        return 0;
}

static int poke(struct tracer *t, const struct mm_inject_frame *frame)
{
        for (size_t i = 0; i < frame->size; i += sizeof(uint64_t)) {
                uint64_t word = 0;
                int r;

                memcpy(&word, frame->bytes + i, MIN(sizeof(word), frame->size - i));
                r = mm_inject_trace_request(&t->trace, PTRACE_POKEDATA, frame->address + i, word);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Whether the instructions are where they were in the file. */
static int find_code(struct tracer *t)
{
        const struct program_code *code = &t->order->code;
        struct mm_inject_code found = { 0 };
        uint8_t text[16];
        int r;

        t->code.call = t->regs.rip + (uint64_t) code->call;
        t->code.restorer = code->restorer != 0 ? t->regs.rip + (uint64_t) code->restorer : 0;
        r = peek(t, t->code.call, text, 3);
        if (r < 0)
                return r;
        mm_inject_code_scan(text, 3, t->code.call, &found);
        if (t->code.restorer != 0) {
                r = peek(t, t->code.restorer, text, 9);
                if (r < 0)
                        return r;
                mm_inject_code_scan(text, 9, t->code.restorer, &found);
        }
        return found.call == t->code.call && found.restorer == t->code.restorer ? 0 : -ESTALE;
}

/* By rt_sigreturn(2) the program gets back all registers and its blocked signals; where it has no way to
 * that, the address of its first instruction has to do, and registers that have no meaning there, by
 * the ABI, are not what they were. */
static int lay_frame(struct tracer *t)
{
        int r;

        if (t->code.restorer == 0) {
                t->frame = (struct mm_inject_frame){ .address = t->regs.rsp - sizeof(uint64_t),
                                                     .size = sizeof(uint64_t) };
                memcpy(t->frame.bytes, &(uint64_t){ t->regs.rip }, sizeof(uint64_t));
                return poke(t, &t->frame);
        }
        /* Nor has it done anything with floating point numbers yet. */
        r = mm_inject_frame_build(&t->regs, t->mask, NULL, 0, NULL, t->code.restorer, &t->frame);
        return r < 0 ? r : poke(t, &t->frame);
}

/* The program stands where its exec returns. */
static int prepare(struct tracer *t)
{
        int r;

        if (prlimit(t->trace.tid, RLIMIT_STACK, &t->order->stack, NULL) < 0)
                return -errno;
        if (t->info.arch != AUDIT_ARCH_X86_64)
                return -EAFNOSUPPORT;
        r = mm_inject_trace_pointer(&t->trace, PTRACE_GETREGS, 0, &t->regs);
        if (r >= 0)
                r = mm_inject_trace_pointer(&t->trace, PTRACE_GETSIGMASK, sizeof(t->mask), &t->mask);
        if (r < 0)
                return r;
        t->regs.orig_rax = UINT64_MAX; /* not in a system call any more */
        r = find_code(t);
        return r < 0 ? r : lay_frame(t);
}

static int restore_personality(struct tracer *t)
{
        int64_t r;

        r = call(t, SYS_personality, PERSONALITY_QUERY, 0);
        if (r < 0)
                return (int) r;
        /* The kernel clears it where a program gains privileges, which tracing has cost it then. */
        if ((r & ADDR_NO_RANDOMIZE) == 0)
                return -EPERM;
        if (t->order->inherit)
                return 0;
        r = call(t, SYS_personality, (uint64_t) r & ~(uint64_t) ADDR_NO_RANDOMIZE, 0);
        return r < 0 ? (int) r : 0;
}

/* The program's last step under our eyes, for which it needs us no more. */
static int let_go(struct tracer *t)
{
        /* rdx has to be 0 at the first instruction, so it is well that waitid() takes no buffer there. */
        struct user_regs_struct regs = call_registers(t, SYS_waitid, (const uint64_t[4]){
                P_PID, (uint64_t) getpid(), 0, WEXITED | __WALL });
        const uint64_t child = UINT64_C(1) << (SIGCHLD - 1);
        int r = 0;

        /* To a parent that has executed another program the kernel sends SIGCHLD whatever was asked
         * for. Where that is blocked it would stay; else, and so in the meantime, it is ignored. */
        if (t->code.restorer != 0 && (t->mask & child) != 0 && !t->order->child_pending) {
                uint64_t mask = t->mask & ~child;

                r = mm_inject_trace_pointer(&t->trace, PTRACE_SETSIGMASK, sizeof(mask), &mask);
        }
        if (r >= 0)
                r = set_registers(t, &regs);
        return r < 0 ? r : mm_inject_trace_request(&t->trace, PTRACE_DETACH, 0, 0);
}

/* Puts back what was for the exec only, or ends the program before it has done anything. */
static void finish(struct tracer *t)
{
        int r;

        r = prepare(t);
        if (r >= 0)
                r = restore_personality(t);
        if (r >= 0 && t->order->ksm)
                r = (int) call(t, SYS_prctl, SET_MEMORY_MERGE, 1);
        if (r >= 0)
                r = let_go(t);
        if (r >= 0 || r == -ESRCH)
                return;
        log_error_errno(r, "mergemem-run: the program is killed before it begins, as the limit of its stack "
                        "or its personality cannot be put back: %m");
        (void) kill(t->trace.tid, SIGKILL);
}

static void follow(struct tracer *t)
{
        bool executing = false;

        for (;;) {
                if (go_on(t) < 0)
                        return;
                if (t->info.op == PTRACE_SYSCALL_INFO_ENTRY)
                        executing = t->info.entry.nr == SYS_execve;
                else if (executing && t->executed) {
                        finish(t);
                        return;
                } else if (executing && t->info.op == PTRACE_SYSCALL_INFO_EXIT) {
                        (void) mm_inject_trace_request(&t->trace, PTRACE_DETACH, 0, 0);
                        return;
                }
        }
}

_Noreturn void trace_run(const struct trace_order *o, pid_t launcher, int go_fd, int report_fd)
{
        struct tracer t = { .order = o };
        struct trace_report report;
        char go;

        seclude();
        close_others(go_fd, report_fd);

        report = rehearse(o);
        if (report.step == TRACE_READY) {
                if (read(go_fd, &go, 1) != 1)
                        _exit(EXIT_FAILURE);
                report = attach(&t, launcher);
        }
        if (write(report_fd, &report, sizeof(report)) != sizeof(report))
                _exit(EXIT_FAILURE);
        close(report_fd);
        close(go_fd);
        if (report.step == TRACE_READY)
                follow(&t);
        _exit(EXIT_SUCCESS);
}
