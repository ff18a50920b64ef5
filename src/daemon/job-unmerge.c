/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"
#include "daemon/memory.h"
#include "lib/inject.h"
#include "shared/format.h"
#include "shared/log.h"
#include "shared/names.h"

static void next(struct job *j);

static void on_advised(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        const struct worker_advised *a = &row->advised;
        struct job_ranges *current = &j->ranges[j->next];
        struct job_target *t = &j->targets[current->target];
        struct registered *g = registry_find(&j->manager->registry, t->pid, t->start_ticks);

        if (row->header.type != WORKER_ROW_ADVISED)
                return;
        j->report.stop_usec = MAX(j->report.stop_usec, a->stop_usec);
        for (uint32_t i = 0; i < a->n; i++)
                j->ranges_done += a->ranges[i].end - a->ranges[i].start;
        if (a->result != MM_INJECT_OK)
                (void) report_count(&j->report.skipped, mm_inject_result_name(a->result), 1);
        if (g && a->n > 0)
                (void) registry_remove(&j->manager->registry, g, a->ranges, a->n);
}

static void on_advise_done(void *userdata, int error)
{
        struct job *j = userdata;
        struct job_ranges *current = &j->ranges[j->next];
        struct job_target *t = &j->targets[current->target];
        struct registered *g = registry_find(&j->manager->registry, t->pid, t->start_ticks);

        if (error < 0) {
                job_fail_errno(j, error, "The worker cannot go on");
                return;
        }
        (void) registry_save(&j->manager->registry);
        /* Large areas take several turns, each of which must have got somewhere. */
        if (!g || j->ranges_done == 0)
                j->next++;
        next(j);
}

static void next(struct job *j)
{
        for (; j->next < j->n_ranges; j->next++) {
                const struct job_ranges *current = &j->ranges[j->next];
                const struct job_target *t = &j->targets[current->target];
                struct registered *g = registry_find(&j->manager->registry, t->pid, t->start_ticks);
                union worker_packet p;
                uint32_t n;
                int r;

                if (!g)
                        continue;
                n = (uint32_t) MIN(g->n_ranges, (size_t) WORKER_RANGES_MAX);
                worker_packet_init(&p, WORKER_UNREGISTER, sizeof(p.ranges));
                p.ranges.index = current->target;
                p.ranges.pid = t->pid;
                p.ranges.start_ticks = t->start_ticks;
                p.ranges.n = n;
                memcpy(p.ranges.ranges, g->ranges, n * sizeof(*g->ranges));
                p.header.size += (uint32_t) (n * sizeof(*g->ranges));
                j->ranges_done = 0;
                job_set_progress(j, (double) j->next / (double) j->n_ranges);
                r = worker_call(j->manager->worker, &p, t->dir_fd, on_advised, on_advise_done, j);
                if (r < 0)
                        job_fail_errno(j, r, "Cannot call the worker");
                return;
        }
        manager_refresh(j->manager);
        job_finish(j);
}

/* Each merged page needs a frame of its own again. */
static bool memory_suffices(struct job *j, uint64_t needed)
{
        uint64_t available;

        if (j->selector.force || memory_available(j->manager->proc_fd, &available) < 0 || needed <= available)
                return true;
        job_fail(j, MERGEMEM_ERROR_NO_MEMORY,
                 "Unmerging takes up to %s, and %s are available; force goes ahead as far as memory lasts.",
                 FORMAT_BYTES(needed), FORMAT_BYTES(available));
        return false;
}

void job_unmerge(struct job *j)
{
        uint64_t needed = 0;
        int r;

        for (size_t i = 0; i < j->n_targets; i++) {
                const struct job_target *t = &j->targets[i];
                const struct registered *g = registry_find(&j->manager->registry, t->pid, t->start_ticks);

                if (!g)
                        continue;
                needed += g->merging_pages * MM_PAGE_SIZE;
                j->report.n_processes++;
                r = job_ranges_append(j, (uint32_t) i, NULL, 0, g->merging_pages);
                if (r < 0) {
                        job_fail_errno(j, r, "Cannot plan");
                        return;
                }
        }
        if (j->n_ranges == 0) {
                job_fail(j, MERGEMEM_ERROR_NOTHING_MATCHES, "None of these processes has memory that mergemem registered.");
                return;
        }
        if (!memory_suffices(j, needed))
                return;
        job_accept(j);
        job_set_state(j, JOB_MERGING);
        for (size_t i = 0; i < j->n_ranges; i++)
                j->report.n_unmerged += j->ranges[i].n_pages;
        j->next = 0;
        next(j);
}
