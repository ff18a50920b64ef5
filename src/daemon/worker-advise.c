/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/mman.h>

#include "daemon/worker-child.h"
#include "lib/inject.h"
#include "lib/vmflags.h"

/* Well below the 2 s after which the service takes us for stuck. */
#define INJECT_TIMEOUT_MSEC 1000U

/* One call's worth: 512 ranges that areas may cut into more. */
#define ADVICES_MAX 2048U

struct advices {
        struct mm_advice items[ADVICES_MAX];
        size_t n;
        uint64_t n_foreign_bytes;
};

/* Of @range, the parts where the kernel's flag is not yet as wanted. What is registered already is
 * somebody else's when we want to register: it is left to them. */
static void add_parts(struct advices *a, const struct mm_vmflags *flags, size_t n_flags,
                      const struct worker_range *range, bool merge)
{
        for (size_t i = 0; i < n_flags && a->n < ADVICES_MAX; i++) {
                uint64_t start = MAX(flags[i].start, range->start), end = MIN(flags[i].end, range->end);
                bool registered = (flags[i].flags & MM_VM_MERGEABLE) != 0;

                if (start >= end)
                        continue;
                if (registered == merge) {
                        a->n_foreign_bytes += merge ? end - start : 0;
                        continue;
                }
                if (a->n > 0 && a->items[a->n - 1].end == start) {
                        a->items[a->n - 1].end = end;
                        continue;
                }
                a->items[a->n++] = (struct mm_advice) {
                        .start = start,
                        .end = end,
                        .advice = merge ? MADV_MERGEABLE : MADV_UNMERGEABLE,
                        .status = 1,
                };
        }
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

static enum mm_inject_result advise(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd,
                                    bool merge, struct advices *a, int *ret_error, uint64_t *ret_stop_usec)
{
        _cleanup_(mm_process_done) struct mm_process process = MM_PROCESS_NULL;
        _cleanup_(freep) struct mm_vmflags *flags = NULL;
        size_t n_flags = 0;
        int r;

        r = open_target(w, ranges, dir_fd, &process);
        if (r >= 0)
                r = mm_vmflags_read(process.dir_fd, &flags, &n_flags);
        if (r < 0) {
                *ret_error = r;
                return r == -ESRCH ? MM_INJECT_GONE : MM_INJECT_FAILED;
        }
        for (uint32_t i = 0; i < ranges->n; i++)
                add_parts(a, flags, n_flags, &ranges->ranges[i], merge);
        if (a->n == 0)
                return MM_INJECT_OK;
        return mm_inject_advise(&process, a->items, a->n, INJECT_TIMEOUT_MSEC, ret_error, ret_stop_usec);
}

/* Up to where an advice can be taken as followed: parts of it that are no memory any more do not
 * matter; one that ran out of time counts for what was done. */
static uint64_t advised_end(const struct mm_advice *a)
{
        return a->status == 1 ? a->start + a->done : a->end;
}

int worker_child_advise(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd, bool merge)
{
        _cleanup_(freep) struct advices *a = NULL;
        union worker_packet row;
        uint64_t stop_usec = 0;
        int error = 0, r;
        enum mm_inject_result result;

        if (ranges->header.size != sizeof(*ranges) + ranges->n * sizeof(struct worker_range) ||
            ranges->n > WORKER_RANGES_MAX)
                return -EBADMSG;
        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        result = advise(w, ranges, dir_fd, merge, a, &error, &stop_usec);

        worker_packet_init(&row, WORKER_ROW_ADVISED, sizeof(row.advised));
        for (size_t i = 0; i <= a->n; i++) {
                struct worker_advised *advised = &row.advised;

                /* Full, or the end: the last packet carries the figures even if it has no range. */
                if (i == a->n || advised->n >= WORKER_RANGES_MAX) {
                        advised->index = ranges->index;
                        advised->result = result;
                        advised->error = error;
                        advised->stop_usec = stop_usec;
                        advised->n_foreign_bytes = i == a->n ? a->n_foreign_bytes : 0;
                        row.header.size =
                                (uint32_t) (sizeof(*advised) + advised->n * sizeof(struct worker_range));
                        r = worker_child_send(w, &row);
                        if (r < 0)
                                return r;
                        worker_packet_init(&row, WORKER_ROW_ADVISED, sizeof(row.advised));
                }
                if (i < a->n && a->items[i].done > 0)
                        advised->ranges[advised->n++] = (struct worker_range) {
                                .start = a->items[i].start,
                                .end = advised_end(&a->items[i]),
                        };
        }
        return 0;
}
