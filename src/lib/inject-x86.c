/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/time.h>
#include <time.h>

#include "lib/inject-hold.h"
#include "lib/inject-proc.h"
#include "lib/inject-run.h"
#include "lib/inject-trace.h"
#include "shared/clock.h"

/* If the kernel makes us wait in the middle of a hold, for the target's mmap_lock say, an alarm ends
 * us, and with that the hold, this much after the time is up. */
#define HOLD_LIMIT_USEC (3000U * 1000U)

#define THREADS_TRIED_MAX 4U

/* How often a thread that is in no good place at the moment is looked for again, and how long
 * apart: a signal handler, a restartable sequence, the pages of a fork(2). */
#define AGAIN_MAX 20U
#define AGAIN_USEC 500U

static void set_alarm(uint64_t usec)
{
        struct itimerval timer = { 0 };

        timer.it_value.tv_sec = (time_t) (usec / 1000000);
        timer.it_value.tv_usec = (suseconds_t) (usec % 1000000);

        setitimer(ITIMER_REAL, &timer, NULL);
}

static void pause_usec(uint64_t usec)
{
        struct timespec ts = { .tv_sec = (time_t) (usec / 1000000),
                               .tv_nsec = (long) (usec % 1000000) * 1000 };

        nanosleep(&ts, NULL);
}

static enum mm_inject_result result_of(struct mm_inject_target *t, int r)
{
        if (r == -ESRCH)
                return MM_INJECT_GONE;
        t->error = r;
        return MM_INJECT_FAILED;
}

/* The process has ended, or an execve(2) has given it other memory than what we have open. */
static bool is_gone(const struct mm_inject_target *t)
{
        char c;

        return mm_process_verify(t->process) < 0 || pread(t->mem_fd, &c, 1, 0) == 0;
}

/* The areas and the code in them as they are now. */
static enum mm_inject_result look(struct mm_inject_target *t)
{
        int r;

        mm_areas_done(&t->areas);
        r = mm_areas_read(t->process->dir_fd, &t->areas);
        if (r < 0) {
                t->areas = (struct mm_areas) { 0 };
                return result_of(t, r);
        }
        if (t->code.call != 0 && mm_inject_code_stands(t->mem_fd, &t->code))
                return MM_INJECT_OK;
        r = mm_inject_code_find(t->mem_fd, &t->areas, &t->code);
        if (r == -ENOENT)
                return is_gone(t) ? MM_INJECT_GONE : MM_INJECT_NO_PLACE;
        return r < 0 ? result_of(t, r) : MM_INJECT_OK;
}

/* One hold of the first thread that will do. */
static enum mm_inject_result hold_some_thread(struct mm_inject_target *t, struct mm_inject_plan *plan)
{
        _cleanup_(freep) struct mm_inject_thread *threads = NULL;
        unsigned tried = 0;
        size_t n;
        int r;

        r = mm_inject_threads_read(t->process->dir_fd, &threads, &n);
        if (r < 0)
                return result_of(t, r);

        for (size_t i = 0; i < n && tried < THREADS_TRIED_MAX; i++) {
                const struct mm_inject_thread *thread = &threads[i];
                enum mm_inject_result result;
                uint64_t now;

                if (thread->state == 'T')
                        return MM_INJECT_STOPPED;
                if (thread->rank == MM_INJECT_RANK_UNUSABLE)
                        break;
                if (thread->sp != 0 && !mm_inject_stack_fits(&t->areas, thread->sp, 0, MM_INJECT_STACK_ROOM))
                        continue;
                tried++;
                now = clock_usec(CLOCK_MONOTONIC);
                set_alarm(MAX(t->end_usec, now) - now + HOLD_LIMIT_USEC);
                result = mm_inject_hold(t, thread->tid, plan);
                set_alarm(0);
                if (result != MM_INJECT_NO_PLACE)
                        return result;
        }
        return is_gone(t) ? MM_INJECT_GONE : MM_INJECT_NO_PLACE;
}

static enum mm_inject_result run(struct mm_inject_target *t, struct mm_inject_plan *plan)
{
        unsigned n_again = 0;

        while (plan->index < plan->n) {
                uint64_t begin = clock_usec(CLOCK_MONOTONIC);
                enum mm_inject_result result;

                if (begin >= t->end_usec)
                        return MM_INJECT_OK; /* the advices tell how far it got */
                result = look(t);
                if (result != MM_INJECT_OK)
                        return result;
                result = hold_some_thread(t, plan);
                if (result == MM_INJECT_BUSY || result == MM_INJECT_NO_PLACE) {
                        if (++n_again > AGAIN_MAX)
                                return result;
                        pause_usec(AGAIN_USEC);
                } else if (result != MM_INJECT_OK)
                        return result;
                else if (plan->index < plan->n) /* as much time for the target as we have taken */
                        pause_usec(clock_usec(CLOCK_MONOTONIC) - begin);
        }
        return MM_INJECT_OK;
}

bool mm_inject_is_possible(void)
{
        return true;
}

static enum mm_inject_result examine_and_run(struct mm_inject_target *t, struct mm_inject_plan *plan)
{
        enum mm_inject_result result;

        result = mm_inject_examine(t->process, &t->error);
        if (result != MM_INJECT_OK)
                return result;
        /* Bound to the memory of this moment: after an execve(2) of the target it leads nowhere. */
        t->mem_fd = openat(t->process->dir_fd, "mem", O_RDWR | O_CLOEXEC);
        if (t->mem_fd < 0)
                return result_of(t, errno == ENOENT ? -ESRCH : -errno);
        return run(t, plan);
}

void mm_inject_run(const struct mm_process *p, unsigned timeout_msec, struct mm_inject_channel *c)
{
        struct mm_inject_target t = {
                .process = p,
                .mem_fd = -EBADF,
                .end_usec = clock_usec(CLOCK_MONOTONIC) + (uint64_t) timeout_msec * 1000,
        };
        struct mm_inject_plan plan = { .advices = c->advices, .n = c->n };

        c->result = examine_and_run(&t, &plan);
        if (c->result == MM_INJECT_FAILED) {
                /* On its way out it refuses in more ways than one. */
                if (is_gone(&t))
                        c->result = MM_INJECT_GONE;
                else
                        c->error = t.error;
        }
        c->longest_usec = t.longest_usec;
        mm_areas_done(&t.areas);
        safe_close(t.mem_fd);
}
