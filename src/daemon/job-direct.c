/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "daemon/job.h"
#include "daemon/totals-bus.h"
#include "lib/device.h"
#include "shared/log.h"
#include "shared/names.h"

/* mergemod merges at once, and keeps trust domains apart itself: all are merged in one call. Only cgroups
 * that may share take a call each, with the cgroup. */

#define PROGRESS_MERGED 0.95

static void merge_next(struct job *j);

static void fail_call(struct job *j, int error)
{
        const char *problem = mm_device_problem(error);

        if (job_retry(j, error))
                return;
        if (problem)
                job_fail(j, MERGEMEM_ERROR_FAILED, "Cannot merge: %s.", problem);
        else
                job_fail_errno(j, error, "The worker cannot go on");
}

/* What the frames that are shared now cost is counted: mergemod also gives out some that it already had.
 * What was merged and is so no more has a frame of its own again. */
static void account(struct job *j)
{
        struct registry *merged = &j->manager->merged;
        int64_t new_shared = (int64_t) (merged->n_shared - merged->n_shared_baseline);
        int64_t lost = (int64_t) (merged->n_baseline + j->direct.n_merged - registry_merged_pages(merged));
        int64_t saved = (int64_t) j->direct.n_freed - new_shared - MAX(lost, (int64_t) 0);

        j->report.n_saved += (uint64_t) MAX(saved, (int64_t) 0);
        j->report.n_shared += (uint64_t) MAX(new_shared, (int64_t) 0);
        registry_account(merged, 0, 0);
        merged->n_saved += (uint64_t) MAX(saved, -(int64_t) merged->n_saved);
}

static void on_recounted(void *userdata, int error)
{
        struct job *j = userdata;
        struct registry *merged = &j->manager->merged;

        account(j);
        if (error >= 0)
                registry_forget_idle(merged);
        (void) registry_save(merged);
        job_note_metadata(j);
        totals_changed(j->manager);
        manager_refresh(j->manager);
        error = j->direct.error < 0 ? j->direct.error : error;
        if (error < 0 && !j->cancelled) {
                fail_call(j, error);
                return;
        }
        if (j->n_rest > 0 && !j->zero_only && !j->cancelled) {
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
                j->direct.n_merged += m->n_merged;
                j->report.n_merged += m->n_merged;
                j->manager->n_merged_total += m->n_merged;
                j->from = m->next;
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
        if (error < 0) {
                recount(j);
                return;
        }
        /* Unless only the slice was over. */
        if (j->from == 0)
                j->next++;
        merge_next(j);
}

/* The cgroup v2 tree, which hybrid hosts have beside the others. */
static int open_cgroup_path(const char *cgroup)
{
        static const char *const roots[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };

        for (size_t i = 0; i < ELEMENTSOF(roots); i++) {
                _cleanup_(freep) char *path = NULL;
                int fd;

                if (asprintf(&path, "%s%s", roots[i], cgroup) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd >= 0)
                        return fd;
        }
        return -ENOENT;
}

/* The cgroup within which @domain may share: what a process of it is in, up to the selected cgroup or
 * unit. Negative if there is none any more. */
static int open_cgroup(struct job *j, uint32_t domain)
{
        for (size_t i = j->report.domains[domain].first; i < j->n_targets; i++) {
                const struct job_target *t = &j->targets[i];
                _cleanup_(freep) char *cgroup = NULL;

                if (!t->selected || t->domain != domain || !t->cgroup)
                        continue;
                if (j->by_rule)
                        return t->shared_cgroup ? open_cgroup_path(t->shared_cgroup) : -EBADF;
                cgroup = selector_cgroup_path(&j->selector, t->cgroup);
                if (cgroup)
                        return open_cgroup_path(cgroup);
        }
        return -EBADF;
}

/* The cgroup of the next domain with something to merge; j->next is that domain, or their number. */
static int next_cgroup(struct job *j)
{
        for (; j->next < j->report.n_domains; j->next++) {
                const struct report_domain *d = &j->report.domains[j->next];
                int fd;

                if (d->n_anonymous == 0)
                        continue;
                fd = open_cgroup(j, (uint32_t) j->next);
                if (fd >= 0)
                        return fd;
                (void) report_count(&j->report.refused, "cgroup gone", d->n_anonymous);
        }
        return -EBADF;
}

static void merge_slice(struct job *j)
{
        bool cgroups = j->selector.trust == TRUST_CGROUP;
        _cleanup_(closep) int cgroup_fd = -EBADF;
        union worker_packet p;
        int r;

        if (cgroups && !j->cancelled)
                cgroup_fd = next_cgroup(j);
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
        p.merge.huge = j->huge;
        p.merge.zero_only = j->zero_only;
        p.merge.from = j->from;
        p.merge.slice_usec = j->slice_usec;
        j->from = 0;
        j->direct.running = true;
        r = job_call(j, &p, cgroup_fd, on_merged, on_merge_done);
        if (r < 0)
                on_merge_done(j, r);
}

static void merge_next(struct job *j)
{
        job_pace(j, 0, merge_slice);
}

/* The ranges of @n packets of one target. */
static int join_ranges(const struct job_ranges *planned, size_t n, struct worker_range **ret, size_t *ret_n)
{
        struct worker_range *all;
        size_t n_all = 0;

        for (size_t i = 0; i < n; i++)
                n_all += planned[i].n;
        all = calloc(MAX(n_all, (size_t) 1), sizeof(*all));
        if (!all)
                return -ENOMEM;
        *ret_n = n_all;
        for (size_t i = n; i-- > 0;) {
                n_all -= planned[i].n;
                if (planned[i].n > 0)
                        memcpy(all + n_all, planned[i].ranges, planned[i].n * sizeof(*all));
        }
        *ret = all;
        return 0;
}

/* Written down before the first target is touched, so that a service that is killed in between knows its
 * own afterwards. */
static int note_plan(struct job *j)
{
        struct registry *merged = &j->manager->merged;

        /* All of one target at once: adding few to many costs as much as adding many. */
        for (size_t i = 0, n; i < j->n_ranges; i += n) {
                const struct job_target *t = &j->targets[j->ranges[i].target];
                _cleanup_(freep) struct worker_range *all = NULL;
                size_t n_all;
                int r;

                for (n = 1; i + n < j->n_ranges && j->ranges[i + n].target == j->ranges[i].target;)
                        n++;
                r = join_ranges(&j->ranges[i], n, &all, &n_all);
                if (r >= 0)
                        r = registry_add(merged, t->pid, t->start_ticks, t->dir_fd, t->pid_fd,
                                         j->report.domains[t->domain].text, all, n_all);
                if (r < 0)
                        return r;
        }
        job_clear_ranges(j);
        return registry_save(merged);
}

static void on_planned(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;

        if (row->header.type == WORKER_ROW_REFUSED)
                on_merged(j, row);
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
        j->from = 0;
        merge_next(j);
}

static void plan(struct job *j)
{
        union worker_packet p;
        int error;

        worker_packet_init(&p, WORKER_PLAN, sizeof(p.plan));
        p.plan.every_domain = true;
        p.plan.direct = true;
        p.plan.zero_only = j->zero_only;
        error = job_call(j, &p, -1, on_planned, on_plan_done);
        if (error < 0)
                fail_call(j, error);
}

static void on_counted(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        registry_settle(&j->manager->merged);
        job_pace(j, j->report.n_pages / PAGES_PER_USEC, plan);
}

void job_merge_direct(struct job *j)
{
        for (size_t i = 0; i < j->report.n_domains; i++)
                j->report.domains[i].chosen = true;
        j->direct.n_freed = j->direct.n_merged = 0;
        j->direct.error = 0;
        job_set_progress(j, (j->part + PROGRESS_MERGED) / j->n_parts);
        job_count(j, &j->manager->merged, on_counted);
}
