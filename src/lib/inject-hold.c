/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "lib/inject-call.h"
#include "lib/inject-hold.h"
#include "lib/inject-proc.h"
#include "lib/inject-stop.h"
#include "lib/inject-trace.h"
#include "shared/clock.h"

/* No new call after this much time, counting the last one once more: a stop shall stay under 1 ms. */
#define HOLD_USEC 700U

/* A call may have to wait for the target's own mmap_lock, which ksmd among others takes. To let go
 * does not make that shorter, and then less is known of how it ended: this much is waited for even
 * when the time is up. */
#define CALL_LIMIT_USEC (2000U * 1000U)

/* Reading more areas than this takes longer than the calls; they are then some moments old. */
#define AREAS_AT_STOP 512U

#define STOPS_MAX 16U

#define CODE_SEGMENT_64 0x33U
#define FLAG_TRAP 0x100U

struct hold {
        struct mm_inject_target *target;
        struct mm_inject_trace trace;
        struct mm_inject_state state;
        struct mm_inject_frame frame;
        uint8_t below[MM_INJECT_FRAME_MAX]; /* what was where the frame is */
        bool laid;                          /* and is not any more */
        bool changed;                       /* registers are not the thread's own */
        bool masked;
};

/* Signals that the thread's own code can raise stay open. Blocked, the kernel would kill it for
 * them; open, they are seen as a stop before they do anything. */
static uint64_t hold_mask(uint64_t mask)
{
        static const int own[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };
        uint64_t open = 0;

        for (size_t i = 0; i < ELEMENTSOF(own); i++)
                open |= UINT64_C(1) << (own[i] - 1);
        return mask | ~open;
}

static int set_mask(struct hold *h, uint64_t mask)
{
        return mm_inject_trace_pointer(&h->trace, PTRACE_SETSIGMASK, sizeof(mask), &mask);
}

static int set_regs(struct hold *h, const struct user_regs_struct *regs)
{
        return mm_inject_trace_pointer(&h->trace, PTRACE_SETREGS, 0, regs);
}

static bool signals_wait(const struct hold *h)
{
        char status[MM_INJECT_TEXT_MAX];

        if (mm_inject_proc_read_task(h->target->process->dir_fd, h->trace.tid, "status", status) < 0)
                return true;
        return mm_inject_signals_wait(status);
}

/* Puts the thread back exactly and lets it go. It must stand in a trap, a signal or a group stop:
 * these are where the kernel decides on interrupted system calls, and will now, as if nothing had
 * been. First the mask, then the registers: in between it would come back through the frame. */
static int let_go(struct hold *h, int signal)
{
        struct user_regs_struct regs;
        bool waiting = signal != 0;
        int r;

        if (h->masked) {
                r = set_mask(h, h->state.mask);
                if (r < 0)
                        return r;
        }
        if ((int64_t) h->state.regs.rax == -EINTR && !waiting)
                waiting = signals_wait(h);
        mm_inject_leave_regs(&h->state.regs, waiting, &regs);
        if (h->changed || memcmp(&regs, &h->state.regs, sizeof(regs)) != 0) {
                r = set_regs(h, &regs);
                if (r < 0)
                        return r;
        }
        if (h->laid) {
                mm_inject_step();
                /* Nobody misses these bytes below the stack, should this fail. */
                (void) !pwrite(h->target->mem_fd, h->below, h->frame.size, (off_t) h->frame.address);
        }
        return mm_inject_trace_request(&h->trace, PTRACE_DETACH, 0, (uint64_t) signal);
}

/* The same from a stop that nobody has asked for, or when something has failed. */
static enum mm_inject_result let_go_with(struct hold *h, enum mm_inject_result result)
{
        int signal = 0, r;

        switch (h->trace.stop) {
        case MM_INJECT_STOP_ENDED:
                return MM_INJECT_GONE;
        case MM_INJECT_STOP_GROUP:
                result = MM_INJECT_STOPPED;
                break;
        case MM_INJECT_STOP_SIGNAL:
                signal = h->trace.signal;
                if (h->changed)
                        result = mm_inject_stop_by_us(&h->trace, &signal);
                break;
        default:
                break;
        }
        r = let_go(h, signal);
        if (r == -ESRCH)
                return MM_INJECT_GONE;
        if (r < 0) {
                h->target->error = r;
                return MM_INJECT_FAILED;
        }
        return result;
}

/* Brings it to where it can be let go, and does so. */
static enum mm_inject_result recall(struct hold *h, enum mm_inject_result result)
{
        int r;

        r = mm_inject_stop_again(&h->trace);
        if (r == -ESRCH)
                return MM_INJECT_GONE;
        if (r < 0) /* it will come back by itself */
                return MM_INJECT_STOPPED;
        return let_go_with(h, result);
}

/* Lets the thread run on until it stands at a system call, entry or exit. */
static enum mm_inject_result run_to_call(struct hold *h)
{
        uint64_t end_usec = MAX(h->target->end_usec, clock_usec(CLOCK_MONOTONIC) + CALL_LIMIT_USEC);

        for (unsigned i = 0; i < STOPS_MAX; i++) {
                if (mm_inject_trace_request(&h->trace, PTRACE_SYSCALL, 0, 0) < 0)
                        return MM_INJECT_GONE;
                if (mm_inject_trace_wait(&h->trace, end_usec) < 0)
                        return recall(h, MM_INJECT_STOPPED);
                if (h->trace.stop == MM_INJECT_STOP_CALL)
                        return MM_INJECT_OK;
                if (h->trace.stop != MM_INJECT_STOP_TRAP) /* that would be a SIGCONT to the process */
                        return let_go_with(h, MM_INJECT_BUSY);
        }
        return let_go_with(h, MM_INJECT_BUSY);
}

/* Lays the way back. After this the thread returns to where it was, whatever becomes of us. */
static enum mm_inject_result prepare(struct hold *h)
{
        struct mm_inject_target *t = h->target;
        struct mm_inject_xstate_layout layout;
        struct user_regs_struct resume;
        ssize_t size;

        mm_inject_xstate_layout(mm_inject_xstate_features(h->state.xstate, h->state.xstate_size), &layout);
        mm_inject_resume_regs(&h->state.regs, &resume);
        if (mm_inject_frame_build(&resume, h->state.mask, h->state.xstate, h->state.xstate_size, &layout,
                                  t->code.restorer, &h->frame) < 0)
                return MM_INJECT_NO_PLACE;

        size = (ssize_t) h->frame.size;
        if (pread(t->mem_fd, h->below, h->frame.size, (off_t) h->frame.address) != size)
                return MM_INJECT_NO_PLACE;
        mm_inject_step();
        h->laid = true;
        if (pwrite(t->mem_fd, h->frame.bytes, h->frame.size, (off_t) h->frame.address) != size)
                return MM_INJECT_NO_PLACE;
        return MM_INJECT_OK;
}

static enum mm_inject_result call_madvise(struct hold *h, const struct mm_inject_piece *piece, int *ret)
{
        struct user_regs_struct regs = h->state.regs;
        enum mm_inject_result result;

        regs.rip = h->target->code.call;
        regs.rsp = h->frame.address;
        regs.rax = SYS_madvise;
        regs.orig_rax = UINT64_MAX; /* not in a system call: none is to be started anew */
        regs.rdi = piece->start;
        regs.rsi = piece->end - piece->start;
        regs.rdx = (uint64_t) piece->advice;

        h->changed = true;
        if (set_regs(h, &regs) < 0)
                return MM_INJECT_GONE;
        if (!h->masked) {
                h->masked = true;
                if (set_mask(h, hold_mask(h->state.mask)) < 0)
                        return MM_INJECT_GONE;
        }
        for (unsigned i = 0; i < 2; i++) { /* its entry, its exit */
                result = run_to_call(h);
                if (result != MM_INJECT_OK)
                        return result;
        }
        if (mm_inject_trace_pointer(&h->trace, PTRACE_GETREGS, 0, &regs) < 0)
                return MM_INJECT_GONE;
        *ret = (int) (int64_t) regs.rax;
        return MM_INJECT_OK;
}

static enum mm_inject_result make_calls(struct hold *h, struct mm_inject_plan *plan, uint64_t begin)
{
        struct mm_inject_target *t = h->target;
        struct mm_inject_piece piece;
        uint64_t last = begin;

        while (mm_inject_plan_next(plan, &t->areas, &piece) > 0) {
                uint64_t now = clock_usec(CLOCK_MONOTONIC);
                enum mm_inject_result result;
                int r;

                if (h->changed && (now - begin) + (now - last) > HOLD_USEC)
                        break;
                last = now;
                result = call_madvise(h, &piece, &r);
                if (result != MM_INJECT_OK)
                        return result;
                if (r < -4095 || r > 0)
                        r = -EIO;
                if (r <= -512) /* a signal waits: the kernel would start it anew, we come back for it */
                        break;
                mm_inject_plan_done(plan, &piece, r);
        }
        if (!h->changed)
                return let_go_with(h, MM_INJECT_OK);

        /* From the exit of the call into a trap: only there can interrupted calls be put back. */
        return recall(h, MM_INJECT_OK);
}

/* Whether this very thread, as it stands, can be led away and back. */
static enum mm_inject_result judge(struct hold *h)
{
        struct mm_inject_target *t = h->target;
        const struct user_regs_struct *regs = &h->state.regs;
        enum mm_inject_result result;

        if (regs->cs != CODE_SEGMENT_64)
                return MM_INJECT_BITS;
        if ((regs->eflags & FLAG_TRAP) != 0)
                return MM_INJECT_NO_PLACE;
        result = mm_inject_stop_judge(&h->trace, t->mem_fd, &h->state);
        if (result != MM_INJECT_OK)
                return result;
        if (t->areas.n <= AREAS_AT_STOP) {
                struct mm_areas fresh;

                if (mm_areas_read(t->process->dir_fd, &fresh) < 0)
                        return MM_INJECT_NO_PLACE;
                mm_areas_done(&t->areas);
                t->areas = fresh;
        }
        if (!mm_inject_stack_fits(&t->areas, regs->rsp, regs->fs_base, MM_INJECT_STACK_ROOM) ||
            mm_inject_stop_on_alternate_stack(t->mem_fd, &t->areas, &t->code, regs->rsp) ||
            !mm_inject_code_stands(t->mem_fd, &t->code))
                return MM_INJECT_NO_PLACE;
        return MM_INJECT_OK;
}

static enum mm_inject_result attach(struct hold *h, pid_t tid)
{
        struct mm_inject_target *t = h->target;
        char status[MM_INJECT_TEXT_MAX];
        int r;

        r = mm_inject_trace_seize(tid, &h->trace);
        if (r == -ESRCH)
                return MM_INJECT_NO_PLACE;
        /* The number could belong to a thread of another process by now; while it is traced, it
         * cannot change hands any more. */
        if (mm_inject_proc_read_task(t->process->dir_fd, tid, "status", status) < 0)
                return MM_INJECT_GONE;
        if (r < 0 && mm_inject_judge_status(status) == MM_INJECT_TRACED)
                return MM_INJECT_TRACED;
        t->error = r;
        return r < 0 ? MM_INJECT_FAILED : MM_INJECT_OK;
}

static enum mm_inject_result hold_standing(struct hold *h, struct mm_inject_plan *plan)
{
        uint64_t begin = clock_usec(CLOCK_MONOTONIC);
        enum mm_inject_result result;

        if (mm_inject_stop_read(&h->trace, &h->state) < 0)
                return MM_INJECT_GONE;

        result = judge(h);
        if (result == MM_INJECT_OK)
                result = prepare(h);
        if (result == MM_INJECT_OK)
                result = make_calls(h, plan, begin);
        else
                result = let_go_with(h, result);
        h->target->longest_usec = MAX(h->target->longest_usec, clock_usec(CLOCK_MONOTONIC) - begin);
        return result;
}

enum mm_inject_result mm_inject_hold(struct mm_inject_target *t, pid_t tid, struct mm_inject_plan *plan)
{
        struct hold h = { .target = t };
        enum mm_inject_result result;

        result = attach(&h, tid);
        if (result == MM_INJECT_OK)
                result = mm_inject_stop(&h.trace, t->end_usec);
        if (result == MM_INJECT_OK)
                result = hold_standing(&h, plan);
        return result;
}
