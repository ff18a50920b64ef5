/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/refresh.h"

static void next(struct refresh *r);

static void finish(struct refresh *r, int error)
{
        r->running = false;
        if (error >= 0)
                registry_counted(r->registry, r->shared_frames);
        r->done(r->userdata, error);
}

static void on_row(void *userdata, const union worker_packet *row)
{
        struct refresh *r = userdata;
        struct registered *g = registry_find(r->registry, r->pid, r->start_ticks);
        size_t n = (row->header.size - sizeof(row->ksm_row)) / sizeof(row->ksm_row.counts[0]);
        uint64_t n_broken = r->registry->n_broken;

        if (row->header.type != WORKER_ROW_KSM || row->ksm_row.error < 0)
                return;
        r->shared_frames += row->ksm_row.shared_frames;
        if (!g)
                return;
        r->merging_pages += row->ksm_row.merging_pages;
        if (n <= r->first_range && r->first_range <= g->n_ranges)
                account_count(r->account, g->pid, g->start_ticks, g->ranges + r->first_range - n,
                              row->ksm_row.counts, n);
        if (r->first_range < g->n_ranges)
                return;
        registry_refreshed(r->registry, g, r->merging_pages + row->ksm_row.zero_pages,
                           row->ksm_row.rmap_items);
        account_counted(r->account, r->registry->kind, g->pid, g->start_ticks, row->ksm_row.zero_pages,
                        r->registry->n_broken - n_broken);
}

static void on_done(void *userdata, int error)
{
        struct refresh *r = userdata;
        struct registered *g = registry_find(r->registry, r->pid, r->start_ticks);

        /* One that hangs or dies is counted as it was; a worker that is gone has a successor. */
        if (error == -ETIMEDOUT && g)
                g->hung = true;
        next(r);
}

static void next(struct refresh *r)
{
        bool direct = r->registry->kind == REGISTRY_DIRECT;
        struct registered *g;
        union worker_packet p;
        size_t n;
        int k;

        /* The registry can have changed during the call. */
        if (r->index < r->registry->n_items) {
                g = r->registry->items[r->index];
                if (g->pid == r->pid && g->start_ticks == r->start_ticks && r->first_range >= g->n_ranges)
                        r->index++;
        }
        while (r->index < r->registry->n_items && r->registry->items[r->index]->hung)
                r->index++;
        if (r->index >= r->registry->n_items) {
                finish(r, 0);
                return;
        }
        g = r->registry->items[r->index];
        if (g->pid != r->pid || g->start_ticks != r->start_ticks) {
                r->pid = g->pid;
                r->start_ticks = g->start_ticks;
                r->first_range = 0;
                r->merging_pages = 0;
        }

        n = MIN(g->n_ranges - r->first_range, (size_t) WORKER_RANGES_MAX);
        worker_packet_init(&p, WORKER_COUNT, sizeof(p.ranges));
        p.ranges.pid = g->pid;
        p.ranges.start_ticks = g->start_ticks;
        p.ranges.n = (uint32_t) n;
        p.ranges.flags = (direct ? WORKER_RANGES_DIRECT : 0U) | (r->begun ? 0U : WORKER_RANGES_FIRST);
        r->begun = true;
        memcpy(p.ranges.ranges, g->ranges + r->first_range, n * sizeof(*g->ranges));
        p.header.size += (uint32_t) (n * sizeof(*g->ranges));
        r->first_range += n;
        k = worker_call(r->worker, &p, g->dir_fd, on_row, on_done, r);
        if (k < 0)
                finish(r, k);
}

void refresh_start(struct refresh *r, struct registry *registry, struct account *account,
                   struct worker *worker, worker_done_t done, void *userdata)
{
        *r = (struct refresh) {
                .registry = registry,
                .account = account,
                .worker = worker,
                .done = done,
                .userdata = userdata,
                .running = true,
        };
        next(r);
}

void refresh_stop(struct refresh *r)
{
        if (r->worker)
                worker_forget(r->worker, r);
        r->running = false;
}
