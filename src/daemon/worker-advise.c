/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/mman.h>

#include "daemon/worker-child.h"
#include "lib/advise.h"

/* Well below the 2 s after which the service takes us for stuck. */
#define INJECT_TIMEOUT_MSEC 1000U

/* One call's worth: 512 ranges that areas may cut into more. What is left over is asked for again. */
#define ADVICES_MAX 2048U

struct done {
        struct worker_range *items;
        size_t n, allocated;
};

static void done_free(struct done *d)
{
        free(d->items);
}

static int done_add(struct done *d, uint64_t start, uint64_t end)
{
        if (start >= end)
                return 0;
        if (d->n >= d->allocated) {
                size_t allocated = MAX(d->allocated * 2, (size_t) 64);
                struct worker_range *items;

                items = reallocarray(d->items, allocated, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                d->items = items;
                d->allocated = allocated;
        }
        d->items[d->n++] = (struct worker_range) { .start = start, .end = end };
        return 0;
}

/* Of [@start, @end), what is registered, or what is not: holes too, where nothing is left to give back. */
static int add_done(struct done *d, const struct mm_vmflags *flags, size_t n_flags, uint64_t start,
                    uint64_t end, bool registered)
{
        uint64_t from = start;
        int r = 0;

        for (size_t i = 0; i < n_flags && r >= 0; i++) {
                if ((flags[i].flags & MM_VM_MERGEABLE) == 0 || flags[i].end <= from || flags[i].start >= end)
                        continue;
                if (registered)
                        r = done_add(d, MAX(flags[i].start, from), MIN(flags[i].end, end));
                else
                        r = done_add(d, from, MIN(flags[i].start, end));
                from = flags[i].end;
        }
        return registered || r < 0 ? r : done_add(d, from, end);
}

/* The process anew, by its number; @dir_fd, which is bound to it, says that it is the same one. */
static int open_target(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd,
                       struct mm_process *ret)
{
        int r;

        if (dir_fd < 0)
                return -EBADMSG;
        r = mm_process_open(w->proc_fd, ranges->pid, true, ret);
        if (r < 0)
                return r;
        if (ret->start_ticks != ranges->start_ticks || faccessat(dir_fd, "stat", F_OK, 0) < 0) {
                mm_process_done(ret);
                return -ESRCH;
        }
        return 0;
}

/* What the kernel says afterwards is what was done: of an advice that was followed in part, of areas
 * that went meanwhile and of those that it passes over without a word. */
static int find_done(const struct worker_ranges *ranges, bool merge, const struct mm_advices *a,
                     const struct mm_vmflags *flags, size_t n_flags, struct done *d)
{
        int r = 0;

        for (size_t i = 0; merge && i < a->n && r >= 0; i++)
                r = add_done(d, flags, n_flags, a->items[i].start, a->items[i].end, true);
        for (uint32_t i = 0; !merge && i < ranges->n && r >= 0; i++)
                r = add_done(d, flags, n_flags, ranges->ranges[i].start, ranges->ranges[i].end, false);
        return r;
}

/* Fills in @ret->result, ->error and ->stop_usec. */
static int advise(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd, bool merge,
                  struct mm_advices *a, struct done *d, struct worker_advised *ret)
{
        _cleanup_(mm_process_done) struct mm_process process = MM_PROCESS_NULL;
        _cleanup_(freep) struct mm_vmflags *flags = NULL, *after = NULL;
        uint32_t unwanted = MM_VM_SPECIAL | (w->round.include_private ? 0 : MM_VM_PRIVATE);
        size_t n_flags = 0, n_after = 0, n_done;
        int r;

        r = open_target(w, ranges, dir_fd, &process);
        if (r >= 0)
                r = mm_vmflags_read(process.dir_fd, &flags, &n_flags);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < ranges->n; i++)
                mm_advices_add(a, flags, n_flags, ranges->ranges[i].start, ranges->ranges[i].end, merge,
                               merge ? unwanted : 0);
        if (a->n == 0)
                return find_done(ranges, merge, a, flags, n_flags, d);
        r = worker_child_tick(w);
        if (r < 0)
                return r;
        n_done = worker_child_advise_direct(w, ranges, dir_fd, flags, n_flags, false, a->items, a->n);
        if (n_done < a->n)
                ret->result = mm_inject_advise(&process, a->items + n_done, a->n - n_done,
                                               INJECT_TIMEOUT_MSEC, &ret->error, &ret->stop_usec);
        /* Where no thread can be had, better at once than not at all. */
        if (ret->result > MM_INJECT_GONE && ret->result < MM_INJECT_FAILED &&
            worker_child_advise_direct(w, ranges, dir_fd, flags, n_flags, true, a->items + n_done,
                                       a->n - n_done) == a->n - n_done)
                ret->result = MM_INJECT_OK;
        /* From here on the answer counts, even if nobody waits for it any more. */
        (void) worker_child_tick(w);
        r = mm_vmflags_read(process.dir_fd, &after, &n_after);
        return r < 0 ? r : find_done(ranges, merge, a, after, n_after, d);
}

int worker_child_advise(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd, bool merge)
{
        _cleanup_(freep) struct mm_advice *items = NULL;
        struct mm_advices a = { .max = ADVICES_MAX };
        _cleanup_(done_free) struct done d = {};
        union worker_packet row;
        struct worker_advised last = {};
        size_t sent = 0;
        int r;

        if (ranges->header.size != sizeof(*ranges) + ranges->n * sizeof(struct worker_range) ||
            ranges->n > WORKER_RANGES_MAX)
                return -EBADMSG;
        a.items = items = calloc(ADVICES_MAX, sizeof(*items));
        if (!items)
                return -ENOMEM;
        r = advise(w, ranges, dir_fd, merge, &a, &d, &last);
        if (r == -ECANCELED || r == -EPIPE)
                return r;
        if (r < 0 && last.result == MM_INJECT_OK) {
                last.error = r;
                last.result = r == -ESRCH ? MM_INJECT_GONE : MM_INJECT_FAILED;
        }

        do {
                struct worker_advised *advised = &row.advised;

                worker_packet_init(&row, WORKER_ROW_ADVISED, sizeof(row.advised));
                advised->index = ranges->index;
                advised->n = (uint32_t) MIN(d.n - sent, (size_t) WORKER_RANGES_MAX);
                if (advised->n > 0)
                        memcpy(advised->ranges, d.items + sent, advised->n * sizeof(*d.items));
                sent += advised->n;
                /* The figures are told once. */
                if (sent == d.n) {
                        advised->result = last.result;
                        advised->error = last.error;
                        advised->stop_usec = last.stop_usec;
                        advised->n_foreign_bytes = a.n_foreign_bytes;
                }
                row.header.size = (uint32_t) (sizeof(*advised) + advised->n * sizeof(*d.items));
                r = worker_child_send(w, &row);
                if (r < 0)
                        return r;
        } while (sent < d.n);
        return 0;
}
