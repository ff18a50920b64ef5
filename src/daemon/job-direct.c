/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "daemon/job.h"
#include "lib/device.h"
#include "shared/log.h"

/* mergemod merges at once, and keeps trust domains apart itself: all are merged in one call. Only cgroups
 * that may share take a call each, with the cgroup. */

#define PROGRESS_MERGED 0.95

static void merge_next(struct job *j);

static void fail_call(struct job *j, int error)
{
        if (!job_retry(j, error))
                job_fail_errno(j, error, "The worker cannot go on");
}

/* What the frames that are shared now cost is counted: mergemod also gives out some that it already had. */
static void account(struct job *j)
{
        struct registry *merged = &j->manager->merged;
        int64_t new_shared = (int64_t) (merged->n_shared - merged->n_shared_baseline);
        int64_t saved = (int64_t) j->direct.n_freed - new_shared;

        j->report.n_saved += (uint64_t) MAX(saved, (int64_t) 0);
        j->report.n_shared += (uint64_t) MAX(new_shared, (int64_t) 0);
        registry_account(merged, 0, 0);
        merged->n_saved += (uint64_t) MAX(saved, -(int64_t) merged->n_saved);
}

static void on_recounted(void *userdata, int error)
{
        struct job *j = userdata;
        struct registry *merged = &j->manager->merged;

        /* Of a worker that is gone the last is not known; then the count alone says what was saved. */
        if (j->direct.error >= 0 || j->direct.error == -ECANCELED)
                account(j);
        (void) registry_save(merged);
        j->report.metadata_bytes = manager_metadata_bytes(j->manager);
        manager_emit_totals(j->manager);
        manager_refresh(j->manager);
        error = j->direct.error < 0 ? j->direct.error : error;
        if (error < 0 && !j->cancelled) {
                fail_call(j, error);
                return;
        }
        if (j->n_rest > 0 && !j->cancelled) {
                job_clear_ranges(j);
                job_merge_ksm(j);
                return;
        }
        job_next_part(j);
}

static void recount(struct job *j)
{
        job_count(j, &j->manager->merged, on_recounted);
}

static void on_merged(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        const struct worker_merged *m = &row->merged;

        switch (row->header.type) {
        case WORKER_ROW_MERGED:
                j->direct.n_freed += m->n_freed;
                j->report.n_merged += m->n_merged;
                j->manager->n_merged_total += m->n_merged;
                break;
        case WORKER_ROW_REFUSED:
                (void) report_count(&j->report.refused, mm_device_status_text(row->refused.error),
                                    row->refused.n_pages);
                j->manager->n_failed_total += row->refused.n_pages;
        }
}

static void on_merge_done(void *userdata, int error)
{
        struct job *j = userdata;

        j->direct.running = false;
        j->direct.error = error;
        if (error < 0)
                recount(j);
        else
                merge_next(j);
}

/* The cgroup within which @domain may share: what a process of it is in, up to the selected cgroup or
 * unit. Negative if there is none any more. */
static int open_cgroup(struct job *j, uint32_t domain)
{
        for (size_t i = 0; i < j->n_targets; i++) {
                const struct job_target *t = &j->targets[i];
                _cleanup_(freep) char *cgroup = NULL, *path = NULL;

                if (!t->selected || t->domain != domain || !t->cgroup)
                        continue;
                cgroup = selector_cgroup_path(&j->selector, t->cgroup);
                if (cgroup && asprintf(&path, "/sys/fs/cgroup%s", cgroup) >= 0)
                        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                path = NULL;
        }
        return -EBADF;
}

static void merge_next(struct job *j)
{
        bool cgroups = j->selector.trust == TRUST_CGROUP;
        _cleanup_(closep) int cgroup_fd = -EBADF;
        union worker_packet p;
        int r;

        while (cgroups && j->next < j->report.n_domains && j->report.domains[j->next].n_anonymous == 0)
                j->next++;
        if (j->cancelled || j->next >= (cgroups ? j->report.n_domains : 1U)) {
                recount(j);
                return;
        }
        worker_packet_init(&p, WORKER_MERGE, sizeof(p.merge));
        p.merge.domain = (uint32_t) j->next;
        p.merge.every_domain = !cgroups;
        p.merge.kind = cgroups                               ? MERGEMOD_DOMAIN_CGROUP
                       : j->selector.trust == TRUST_SYSTEM ? MERGEMOD_DOMAIN_SYSTEM
                                                             : MERGEMOD_DOMAIN_USER;
        p.merge.huge = MERGEMOD_HUGE_AUTO;
        if (cgroups)
                cgroup_fd = open_cgroup(j, (uint32_t) j->next);
        j->next++;
        if (cgroups && cgroup_fd < 0) {
                (void) report_count(&j->report.refused, "cgroup gone",
                                    j->report.domains[j->next - 1].n_anonymous);
                merge_next(j);
                return;
        }
        j->direct.running = true;
        r = job_call(j, &p, cgroup_fd, on_merged, on_merge_done);
        if (r < 0)
                on_merge_done(j, r);
}

/* Written down before the first target is touched, so that a service that is killed in between knows its
 * own afterwards. Where nothing comes of it, nothing will be counted there. */
static int note_plan(struct job *j)
{
        struct registry *merged = &j->manager->merged;

        for (size_t i = 0; i < j->n_ranges; i++) {
                const struct job_ranges *planned = &j->ranges[i];
                const struct job_target *t = &j->targets[planned->target];
                int r;

                r = registry_add(merged, t->pid, t->start_ticks, t->dir_fd, t->pid_fd,
                                 j->report.domains[t->domain].text, planned->ranges, planned->n);
                if (r < 0)
                        return r;
        }
        return registry_save(merged);
}

static void on_planned(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;

        if (row->header.type != WORKER_ROW_PLANNED || row->ranges.index >= j->n_targets)
                return;
        if (job_ranges_append(j, row->ranges.index, row->ranges.ranges, row->ranges.n,
                              row->ranges.n_pages) < 0)
                j->direct.error = -ENOMEM;
}

static void on_plan_done(void *userdata, int error)
{
        struct job *j = userdata;

        error = error < 0 ? error : j->direct.error;
        if (error < 0) {
                fail_call(j, error);
                return;
        }
        error = note_plan(j);
        if (error < 0) {
                job_fail_errno(j, error, "Cannot note what is about to be merged");
                return;
        }
        j->next = 0;
        merge_next(j);
}

static void on_counted(void *userdata, int error)
{
        struct job *j = userdata;
        union worker_packet p;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        registry_settle(&j->manager->merged);
        worker_packet_init(&p, WORKER_PLAN, sizeof(p.plan));
        p.plan.every_domain = true;
        p.plan.direct = true;
        error = job_call(j, &p, -1, on_planned, on_plan_done);
        if (error < 0)
                fail_call(j, error);
}

void job_merge_direct(struct job *j)
{
        for (size_t i = 0; i < j->report.n_domains; i++)
                j->report.domains[i].chosen = true;
        j->direct.n_freed = 0;
        j->direct.error = 0;
        job_set_progress(j, (j->part + PROGRESS_MERGED) / j->n_parts);
        job_count(j, &j->manager->merged, on_counted);
}
