/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "lib/inject-call.h"
#include "lib/inject-proc.h"
#include "lib/inject-thread.h"

/* Enough to find a good one among; a process can have tens of thousands. */
#define THREADS_MAX 256U

/* include/linux/sched.h of the kernel: bits of field 9 of stat. */
#define TASK_EXITING 0x4U
#define TASK_IO_WORKER 0x10U
#define TASK_USER_WORKER 0x4000U
#define TASK_KERNEL_THREAD 0x200000U

unsigned mm_inject_thread_rank(const struct mm_inject_thread *t)
{
        if (t->unusable || (t->state != 'R' && t->state != 'S'))
                return MM_INJECT_RANK_UNUSABLE;
        if (t->call == MM_INJECT_NO_CALL)
                return 20;
        if (t->call != MM_INJECT_RUNNING)
                return 2 * (unsigned) mm_inject_call_kind(t->call, t->args);
        /* Nothing is interrupted, but a thread that has used up its share of the CPU takes its time
         * to get to each of our stops: one that sleeps is better if it will not notice. */
        return 2 * MM_INJECT_CALL_EXACT + 1;
}

int mm_inject_thread_parse_stat(const char *text, struct mm_inject_thread *t)
{
        const char *p;
        unsigned flags;
        char state;

        p = strrchr(text, ')'); /* a name may hold anything, brackets too */
        if (!p || sscanf(p, ") %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2)
                return -EINVAL;

        t->state = state;
        t->unusable = (flags & (TASK_EXITING | TASK_IO_WORKER | TASK_USER_WORKER | TASK_KERNEL_THREAD)) != 0;
        return 0;
}

int mm_inject_thread_parse_syscall(const char *text, struct mm_inject_thread *t)
{
        uint64_t a[4], sp;
        int64_t nr;
        int n;

        if (strncmp(text, "running", 7) == 0) {
                t->call = MM_INJECT_RUNNING;
                t->sp = 0;
                return 0;
        }
        n = sscanf(text, "%" SCNd64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %*x %*x %" SCNx64,
                   &nr, &a[0], &a[1], &a[2], &a[3], &sp);
        if (n >= 2 && nr == -1) {
                t->call = MM_INJECT_NO_CALL;
                t->sp = a[0];
                return 0;
        }
        if (n != 6 || nr < 0)
                return -EINVAL;

        t->call = nr;
        memcpy(t->args, a, sizeof(a));
        t->sp = sp;
        return 0;
}

static int thread_read(int process_fd, pid_t tid, struct mm_inject_thread *ret)
{
        struct mm_inject_thread t = { .tid = tid };
        char text[MM_INJECT_TEXT_MAX];
        int r;

        r = mm_inject_proc_read_task(process_fd, tid, "stat", text);
        if (r < 0)
                return r;
        r = mm_inject_thread_parse_stat(text, &t);
        if (r < 0)
                return r;
        r = mm_inject_proc_read_task(process_fd, tid, "syscall", text);
        if (r < 0)
                return r;
        r = mm_inject_thread_parse_syscall(text, &t);
        if (r < 0)
                return r;

        t.rank = mm_inject_thread_rank(&t);
        *ret = t;
        return 0;
}

static int compare_rank(const void *a, const void *b)
{
        const struct mm_inject_thread *x = a, *y = b;

        if (x->rank != y->rank)
                return x->rank < y->rank ? -1 : 1;
        return (x->tid > y->tid) - (x->tid < y->tid);
}

int mm_inject_threads_read(int process_fd, struct mm_inject_thread **ret, size_t *ret_n)
{
        _cleanup_(freep) struct mm_inject_thread *threads = NULL;
        _cleanup_(closedirp) DIR *dir = NULL;
        size_t n = 0;
        pid_t tid;
        int r;

        r = mm_inject_proc_open_tasks(process_fd, &dir);
        if (r < 0)
                return r;
        threads = calloc(THREADS_MAX, sizeof(*threads));
        if (!threads)
                return -ENOMEM;

        while (n < THREADS_MAX && (r = mm_procfs_next(dir, &tid)) > 0) {
                r = thread_read(process_fd, tid, &threads[n]);
                if (r >= 0)
                        n++;
                else if (r != -ESRCH && r != -ENOENT)
                        return r;
        }
        if (r < 0)
                return r;
        if (n == 0)
                return -ESRCH;

        qsort(threads, n, sizeof(*threads), compare_rank);
        *ret = TAKE_PTR(threads);
        *ret_n = n;
        return 0;
}

static bool is_plain_stack(const struct mm_area *a)
{
        const unsigned mask = MM_AREA_READ | MM_AREA_WRITE | MM_AREA_MAYSHARE;

        return (a->flags & mask) == (MM_AREA_READ | MM_AREA_WRITE);
}

static bool is_guard(const struct mm_area *a)
{
        const unsigned mask = MM_AREA_READ | MM_AREA_WRITE | MM_AREA_EXEC | MM_AREA_MAYSHARE;

        return (a->kind == MM_AREA_ANON || a->kind == MM_AREA_NAMED_ANON) && (a->flags & mask) == 0;
}

bool mm_inject_stack_fits(const struct mm_areas *areas, uint64_t sp, uint64_t fs_base, uint64_t room)
{
        const struct mm_area *a = mm_areas_find(areas, sp);

        if (!a || !is_plain_stack(a) || sp - a->start < room)
                return false;
        if (a->kind == MM_AREA_STACK)
                return true;
        if (a->kind != MM_AREA_ANON && a->kind != MM_AREA_NAMED_ANON)
                return false;
        if (a == areas->items || a[-1].end != a->start || !is_guard(&a[-1]))
                return false;
        return fs_base == 0 || (fs_base > sp && fs_base < a->end);
}
