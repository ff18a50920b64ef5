/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/worker-child.h"

/* Elements for one call of mergemod: a fraction of a second, so that a job can be cancelled and the
 * service hears of us. Whole groups, unless one is larger than that. */
#define CALL_ELEMENTS 2048U

/* Pages that are given back in one call. */
#define UNMERGE_PAGES 4096U

/* Larger than any error number. */
#define ERRORS_MAX 256

struct merging {
        struct worker_child *w;
        struct mm_device *device;
        struct mm_device_domain domain;
        enum mergemod_huge huge;
        size_t n;
        uint32_t n_groups;
        uint64_t refused[ERRORS_MAX]; /* by error */
        struct mergemod_element *again; /* that were not ready, for a second try */
        size_t n_again, again_allocated;
        struct mergemod_element elements[CALL_ELEMENTS];
};

static void merging_free(struct merging *m)
{
        free(m->again);
        free(m);
}
DEFINE_CLEANUP_FUNC(struct merging *, merging_free)

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

static int keep_for_later(struct merging *m, const struct mergemod_element *e)
{
        struct mergemod_element *again;

        if (m->n_again >= m->again_allocated) {
                size_t allocated = MAX(m->again_allocated * 2, (size_t) 256);

                again = reallocarray(m->again, allocated, sizeof(*again));
                if (!again)
                        return -ENOMEM;
                m->again = again;
                m->again_allocated = allocated;
        }
        m->again[m->n_again++] = *e;
        return 0;
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
static void forget(struct merging *m, uint32_t attached)
{
        struct round *r = &m->w->round;

        mm_device_detach(m->device, attached);
        for (size_t i = m->n_again; i-- > 0;)
                if (m->again[i].target == attached)
                        m->again[i] = m->again[--m->n_again];
        for (size_t i = 0; i < r->n_targets; i++)
                if (r->targets[i].attached == attached) {
                        r->targets[i].attached = 0;
                        r->targets[i].attach_error = -ESRCH;
                }
}

/* @last: what is not ready now is refused. */
static int merge_elements(struct merging *m, bool last)
{
        struct mergemod_merge sum;
        int r;

        if (m->n == 0)
                return 0;
        r = mm_device_merge(m->device, &m->domain, m->huge, m->elements, m->n, &sum);
        if (r < 0)
                return r;
        for (size_t i = 0; i < m->n; i++) {
                const struct mergemod_element *e = &m->elements[i];

                if (e->status == -EAGAIN && !last && keep_for_later(m, e) >= 0)
                        continue;
                if (e->status == -ESRCH && (i + 1 == m->n || m->elements[i + 1].target != e->target))
                        forget(m, e->target);
                if (e->status < 0)
                        refuse(m, e->status);
        }
        m->w->n_pages += m->n;
        m->n = 0;
        m->n_groups = 0;
        r = send_merged(m, &sum, 0);
        return r < 0 ? r : worker_child_tick(m->w);
}

/* The target of @record as mergemod knows it; attached when it is first met. */
static int attach(struct merging *m, struct round_target *t, uint32_t *ret)
{
        int r;

        if (t->attached == 0 && t->attach_error == 0) {
                r = mm_device_attach(m->device, t->pid, t->start_ticks, t->dir_fd, &t->attached);
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
        if (m->n == CALL_ELEMENTS) {
                r = merge_elements(m, false);
                if (r < 0)
                        return r;
                /* The rest of the group is one of its own to mergemod, which finds the frame. */
                m->n_groups = 1;
        }
        m->elements[m->n++] = (struct mergemod_element) {
                .address = (uint64_t) record->page * MM_PAGE_SIZE,
                .target = target,
                .group = m->n_groups - 1,
        };
        return 0;
}

static int add_group(struct merging *m, const struct worker_merge *call, const struct mm_record *records,
                     size_t n)
{
        struct round *r = &m->w->round;
        size_t n_before;
        int k = 0;

        if (m->n > 0 && m->n + n > CALL_ELEMENTS) {
                k = merge_elements(m, false);
                if (k < 0)
                        return k;
        }
        n_before = m->n;
        m->n_groups++;
        for (size_t i = 0; i < n && k >= 0; i++) {
                struct round_target *t;

                if ((records[i].flags & MM_RECORD_PLANNED) == 0)
                        continue;
                t = round_find_target(r, records[i].target);
                if (t && (call->every_domain || t->domain == call->domain))
                        k = add_record(m, t, &records[i]);
        }
        /* Nothing of it is left: numbers of groups stay below those of elements. */
        if (m->n == n_before)
                m->n_groups--;
        return k;
}

static int merge_again(struct merging *m)
{
        int r = 0;

        /* The frames of their groups are there by now, and are found by what is in them. */
        for (size_t i = 0; i < m->n_again && r >= 0; i++) {
                m->again[i].group = m->n_groups++;
                m->elements[m->n++] = m->again[i];
                if (m->n == CALL_ELEMENTS)
                        r = merge_elements(m, true);
        }
        return r < 0 ? r : merge_elements(m, true);
}

static int merge_groups(struct merging *m, const struct worker_merge *call)
{
        struct round *r = &m->w->round;
        const struct mm_record *items;
        size_t n = mm_records_count(r->records), next = 0;
        int k = 0;

        /* Numbers of those that have ended may be others' from now on. */
        mm_device_sweep(m->device);
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
                k = merge_elements(m, false);
        if (k >= 0)
                k = merge_again(m);
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
        _cleanup_(merging_freep) struct merging *m = NULL;
        int r, k;

        if (!w->round.scan_ready)
                return -EINVAL;
        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->w = w;
        m->domain = (struct mm_device_domain) {
                .kind = call->kind,
                .cgroup_fd = MAX(cgroup_fd, -1),
                .zero_only = call->zero_only,
        };
        m->huge = call->huge;
        r = worker_child_device(w, &m->device);
        if (r < 0)
                return r;
        r = merge_groups(m, call);
        k = send_refused(m);
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
