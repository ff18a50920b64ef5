/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/worker-child.h"

/* Pages that are given back in one call. */
#define UNMERGE_PAGES 4096U

/* Larger than any error number. */
#define ERRORS_MAX 256

struct merging {
        struct worker_child *w;
        struct mm_merger *merger;
        uint64_t refused[ERRORS_MAX]; /* by error */
};

int worker_child_device(struct worker_child *w, struct mm_device **ret)
{
        int r;

        if (!w->device) {
                r = mm_device_open(MERGEMOD_DEVICE, &w->device, NULL);
                if (r < 0)
                        return r;
        }
        *ret = w->device;
        return 0;
}

static void refuse(struct merging *m, int error)
{
        m->refused[-error < ERRORS_MAX ? -error : EINVAL]++;
}

static int send_merged(struct merging *m, const struct mergemod_merge *sum, uint64_t next)
{
        union worker_packet row;

        worker_packet_init(&row, WORKER_ROW_MERGED, sizeof(row.merged));
        row.merged.n_merged = sum->merged;
        row.merged.n_freed = sum->freed;
        row.merged.next = next;
        return worker_child_send(m->w, &row);
}

/* Another program has taken its place: next time it is attached anew. */
static void on_gone(void *userdata, uint32_t target)
{
        struct merging *m = userdata;
        struct round *r = &m->w->round;

        for (size_t i = 0; i < r->n_targets; i++)
                if (r->targets[i].attached == target) {
                        r->targets[i].attached = 0;
                        r->targets[i].attach_error = -ESRCH;
                }
}

static int on_merged(void *userdata, const struct mergemod_element *elements, size_t n,
                     const struct mergemod_merge *sum)
{
        struct merging *m = userdata;
        int r;

        for (size_t i = 0; i < n; i++)
                if (elements[i].status < 0)
                        refuse(m, elements[i].status);
        m->w->n_pages += n;
        r = send_merged(m, sum, 0);
        return r < 0 ? r : worker_child_tick(m->w);
}

/* @t as mergemod knows it; attached when it is first met. */
static int attach(struct merging *m, struct round_target *t, uint32_t *ret)
{
        int r;

        if (t->attached == 0 && t->attach_error == 0) {
                r = mm_device_attach(m->w->device, t->pid, t->start_ticks, t->dir_fd, &t->attached);
                t->attach_error = r;
        }
        *ret = t->attached;
        return t->attach_error;
}

static int add_record(struct merging *m, struct round_target *t, const struct mm_record *record)
{
        uint32_t target = 0;
        int r;

        r = attach(m, t, &target);
        if (r < 0) {
                refuse(m, r);
                return 0;
        }
        return mm_merger_add(m->merger, target, (uint64_t) record->page * MM_PAGE_SIZE);
}

static int add_group(struct merging *m, const struct worker_merge *call, const struct mm_record *records,
                     size_t n)
{
        struct round *r = &m->w->round;
        int k;

        k = mm_merger_begin_group(m->merger, n);
        for (size_t i = 0; i < n && k >= 0; i++) {
                struct round_target *t;

                if ((records[i].flags & MM_RECORD_PLANNED) == 0)
                        continue;
                t = round_find_target(r, records[i].target);
                if (t && (call->every_domain || t->domain == call->domain))
                        k = add_record(m, t, &records[i]);
        }
        return k;
}

static int merge_groups(struct merging *m, const struct worker_merge *call)
{
        struct round *r = &m->w->round;
        const struct mm_record *items;
        size_t n = mm_records_count(r->records), next = 0;
        int k = 0;

        /* Numbers of those that have ended may be others' from now on. */
        mm_device_sweep(m->w->device);
        for (size_t i = 0; i < r->n_targets; i++) {
                r->targets[i].attached = 0;
                r->targets[i].attach_error = 0;
        }
        /* By the place of the first page of each group; so they still are when it goes on. */
        if (call->from == 0)
                mm_records_sort(r->records);
        items = mm_records_items(r->records);
        worker_child_slice(m->w, call->slice_usec);
        for (size_t i = call->from; i < n && k >= 0 && !worker_child_slice_is_over(m->w); i = next) {
                for (next = i + 1; next < n && items[next].key == items[i].key;)
                        next++;
                k = add_group(m, call, items + i, next - i);
        }
        if (k >= 0)
                k = mm_merger_finish(m->merger);
        if (k >= 0 && next > 0 && next < n)
                k = send_merged(m, &(struct mergemod_merge) {}, next);
        return k;
}

static int send_refused(struct merging *m)
{
        for (int i = 0; i < ERRORS_MAX; i++) {
                union worker_packet row;
                int r;

                if (m->refused[i] == 0)
                        continue;
                worker_packet_init(&row, WORKER_ROW_REFUSED, sizeof(row.refused));
                row.refused.error = -i;
                row.refused.n_pages = m->refused[i];
                r = worker_child_send(m->w, &row);
                if (r < 0)
                        return r;
        }
        return 0;
}

int round_merge(struct worker_child *w, const struct worker_merge *call, int cgroup_fd)
{
        static const struct mm_merger_events events = { .merged = on_merged, .gone = on_gone };
        const struct mm_device_domain domain = {
                .kind = call->kind,
                .cgroup_fd = MAX(cgroup_fd, -1),
                .zero_only = call->zero_only,
        };
        _cleanup_(mm_merger_freep) struct mm_merger *merger = NULL;
        struct mm_device *device;
        struct merging m = { .w = w };
        int r, k;

        if (!w->round.scan_ready)
                return -EINVAL;
        r = worker_child_device(w, &device);
        if (r >= 0)
                r = mm_merger_new(device, &domain, call->huge, &events, &m, &merger);
        if (r < 0)
                return r;
        m.merger = merger;
        r = merge_groups(&m, call);
        k = send_refused(&m);
        return r < 0 ? r : k;
}

/* Gives a range back, in slices; *@ret_end is how far it came. */
static int unmerge_range(struct worker_child *w, uint32_t target, const struct worker_range *range,
                         uint64_t *ret_end)
{
        *ret_end = range->start;
        while (*ret_end < range->end) {
                struct mergemod_range slice = {
                        .start = *ret_end,
                        .end = MIN(range->end, *ret_end + UNMERGE_PAGES * MM_PAGE_SIZE),
                        .target = target,
                };
                uint64_t end = slice.end;
                int r;

                r = mm_device_unmerge(w->device, &slice, 1, MERGEMOD_UNMERGE_ZERO);
                if (r >= 0)
                        r = slice.status == -EFAULT ? 0 : slice.status; /* it cannot be written to */
                if (r < 0)
                        return r;
                *ret_end = end;
                r = worker_child_tick(w);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool is_touched(const struct worker_ranges *ranges, const struct mm_area *area)
{
        for (uint32_t i = 0; i < ranges->n; i++)
                if (ranges->ranges[i].start < area->end && ranges->ranges[i].end > area->start)
                        return true;
        return false;
}

/* Areas in which nothing is merged any more may have huge pages again, which only calls for whole areas
 * bring about. Where something is that came by fork, it stays, and they get none. */
static int allow_huge(struct worker_child *w, uint32_t target, const struct worker_ranges *ranges,
                      int dir_fd)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        int r;

        r = mm_areas_read(dir_fd, &areas);
        for (size_t i = 0; i < areas.n && r >= 0; i++) {
                struct mergemod_range area = {
                        .start = areas.items[i].start, .end = areas.items[i].end, .target = target
                };

                if (!is_touched(ranges, &areas.items[i]))
                        continue;
                r = worker_child_has_merged(w, dir_fd, area.start, area.end);
                if (r == 0)
                        r = mm_device_unmerge(w->device, &area, 1, 0);
                if (r >= 0)
                        r = worker_child_tick(w);
        }
        return r;
}

static int unmerge(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd,
                   struct worker_advised *ret, uint32_t *ret_target)
{
        struct mm_device *device;
        uint32_t target = 0;
        int r;

        r = worker_child_device(w, &device);
        if (r >= 0)
                r = mm_device_attach(device, ranges->pid, ranges->start_ticks, dir_fd, &target);
        for (uint32_t i = 0; i < ranges->n && r >= 0; i++) {
                struct worker_range *done = &ret->ranges[ret->n];

                done->start = ranges->ranges[i].start;
                r = unmerge_range(w, target, &ranges->ranges[i], &done->end);
                ret->n += done->end > done->start;
        }
        /* Another program has taken its place: what was merged went with the memory. */
        if (r == -ESRCH && target > 0)
                mm_device_detach(device, target);
        *ret_target = target;
        return r;
}

int worker_child_unmerge(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd)
{
        union worker_packet row;
        uint32_t target = 0;
        int r, k;

        if (ranges->header.size != sizeof(*ranges) + ranges->n * sizeof(struct worker_range) ||
            ranges->n > WORKER_RANGES_MAX || dir_fd < 0)
                return -EBADMSG;
        worker_packet_init(&row, WORKER_ROW_ADVISED, sizeof(row.advised));
        r = unmerge(w, ranges, dir_fd, &row.advised, &target);
        if (r == -EPIPE)
                return r;
        row.advised.index = ranges->index;
        row.advised.error = r == -ECANCELED ? 0 : r;
        row.header.size = (uint32_t) (sizeof(row.advised) + row.advised.n * sizeof(struct worker_range));
        k = worker_child_send(w, &row);
        if (r == -ECANCELED || k < 0)
                return r == -ECANCELED ? r : k;
        /* Whatever comes of that, the pages have been given back. */
        if (r >= 0)
                r = allow_huge(w, target, ranges, dir_fd);
        return r == -ECANCELED || r == -EPIPE ? r : 0;
}
