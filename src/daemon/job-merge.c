/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>

#include "daemon/job.h"
#include "daemon/totals-bus.h"
#include "lib/inject.h"
#include "shared/log.h"
#include "shared/names.h"

/* ksmd needs two passes over an area: the first notes checksums, the second merges what did not
 * change. The pass under way when we come does not count. */
#define KSM_PASSES 3U

#define PROGRESS_CENSUS 0.5
#define PROGRESS_REGISTERED 0.65

static void register_next(struct job *j);

static void fail_call(struct job *j, int error)
{
        if (!job_retry(j, error))
                job_fail_errno(j, error, "The worker cannot go on");
}

static void on_refreshed(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        registry_account(&j->manager->registry, j->n_saved, j->n_shared);
        job_note_metadata(j);
        (void) registry_save(&j->manager->registry);
        totals_changed(j->manager);
        manager_refresh(j->manager);
        job_next_part(j);
}

static void on_measured(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        const struct worker_measured *m = &row->measured;

        if (row->header.type != WORKER_ROW_MEASURED)
                return;
        j->n_saved = m->n_frames_before - MIN(m->n_frames_before, m->n_frames_shared);
        j->n_shared = m->n_frames_shared;
        j->report.n_merged += m->n_merged;
        j->report.n_saved += j->n_saved;
        j->report.n_shared += j->n_shared;
        j->manager->n_merged_total += m->n_merged;
        if (j->cancelled)
                return;
        j->manager->n_failed_total += m->n_planned - m->n_merged;
        if (m->n_gone > 0)
                (void) report_count(&j->report.refused, "page gone meanwhile", m->n_gone);
        if (m->n_planned > m->n_merged)
                (void) report_count(&j->report.refused, "page changed or not taken by KSM",
                                    m->n_planned - m->n_merged);
}

static void on_measure_done(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0)
                fail_call(j, error);
        else
                job_count(j, &j->manager->registry, on_refreshed);
}

static void measure(struct job *j)
{
        union worker_packet p;
        int r;

        worker_packet_init(&p, WORKER_MEASURE, sizeof(p.header));
        r = job_call(j, &p, -1, on_measured, on_measure_done);
        if (r < 0)
                fail_call(j, r);
}

static void pace_measure(struct job *j)
{
        job_pace(j, j->report.n_pages / PAGES_PER_USEC, measure);
}

/* The plan was noted as ours before the call; what was not done is taken off again. */
static void on_registered(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        const struct worker_advised *a = &row->advised;
        struct job_ranges *planned = &j->ranges[j->next];
        struct worker_range *left;
        size_t n_left;

        if (row->header.type != WORKER_ROW_ADVISED)
                return;
        j->report.stop_usec = MAX(j->report.stop_usec, a->stop_usec);
        if (a->n_foreign_bytes > 0)
                (void) report_count(&j->report.refused, "registered by the process itself",
                                    a->n_foreign_bytes / MM_PAGE_SIZE);
        if (a->result != MM_INJECT_OK) {
                (void) report_count(&j->report.skipped, mm_inject_result_name(a->result), 1);
                (void) report_count(&j->report.refused, mm_inject_result_name(a->result), planned->n_pages);
                j->manager->n_failed_total += planned->n_pages;
                if (a->result == MM_INJECT_FAILED)
                        log_debug_errno(a->error, "Cannot register memory of process %d: %m",
                                        j->targets[planned->target].pid);
        }
        /* An injector that was killed or kept waiting may have left the target on its way to the call. */
        if (a->error == -ECANCELED || a->error == -ETIMEDOUT) {
                planned->n_undone = 0;
                return;
        }
        if (ranges_subtract(planned->undone, planned->n_undone, a->ranges, a->n, &left, &n_left) < 0)
                return;
        free(planned->undone);
        planned->undone = left;
        planned->n_undone = n_left;
}

static void on_register_done(void *userdata, int error)
{
        struct job *j = userdata;
        struct job_ranges *planned = &j->ranges[j->next];
        struct job_target *t = &j->targets[planned->target];
        struct registered *g = registry_find(&j->manager->registry, t->pid, t->start_ticks);

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        if (g)
                (void) registry_remove(&j->manager->registry, g, planned->undone, planned->n_undone);
        j->next++;
        job_set_progress(j, (j->part + PROGRESS_CENSUS +
                             (PROGRESS_REGISTERED - PROGRESS_CENSUS) * (double) j->next /
                                     (double) j->n_ranges) /
                                    j->n_parts);
        register_next(j);
}

/* What a cancelled job has planned and not got to is not ours. */
static void forget_rest(struct job *j)
{
        struct registry *registry = &j->manager->registry;

        for (size_t i = j->next; i < j->n_ranges; i++) {
                const struct job_ranges *planned = &j->ranges[i];
                const struct job_target *t = &j->targets[planned->target];
                struct registered *g = registry_find(registry, t->pid, t->start_ticks);

                if (g)
                        (void) registry_remove(registry, g, planned->undone, planned->n_undone);
        }
        (void) registry_save(registry);
}

/* Whether @t is of another trust domain than when it was selected: the scan took its time. */
static bool has_strayed(const struct job *j, const struct job_target *t)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        _cleanup_(freep) char *unit = NULL, *domain = NULL;
        const char *cgroup = NULL;

        if (mm_process_open(j->manager->proc_fd, t->pid, false, &p) < 0 || p.start_ticks != t->start_ticks)
                return false; /* it has ended, which the worker will say */
        if (p.cgroup && mm_cgroup_unit(p.cgroup, &unit) == -ENOMEM)
                return true;
        if (!j->by_rule)
                cgroup = selector_cgroup_of(&j->selector, &p, unit);
        else if (t->shared_cgroup && p.cgroup && cgroup_contains(t->shared_cgroup, p.cgroup))
                cgroup = t->shared_cgroup;
        return job_domain_of(j, &p, unit, cgroup, &domain) < 0 || !streq(domain, t->domain_text);
}

/* Passes over those that are not to be registered any more. */
static void leave_strayed(struct job *j)
{
        struct registry *registry = &j->manager->registry;

        for (; j->next < j->n_ranges; j->next++) {
                const struct job_ranges *planned = &j->ranges[j->next];
                const struct job_target *t = &j->targets[planned->target];
                struct registered *g = registry_find(registry, t->pid, t->start_ticks);

                if (!has_strayed(j, t))
                        return;
                (void) report_count(&j->report.skipped, "changed trust domain", 1);
                (void) report_count(&j->report.refused, "changed trust domain", planned->n_pages);
                j->manager->n_failed_total += planned->n_pages;
                if (g)
                        (void) registry_remove(registry, g, planned->undone, planned->n_undone);
        }
}

static void register_next(struct job *j)
{
        const struct job_ranges *planned;
        struct job_target *t;
        union worker_packet p;
        int r;

        if (j->cancelled) {
                forget_rest(j);
                measure(j);
                return;
        }
        leave_strayed(j);
        if (j->next >= j->n_ranges) {
                (void) registry_save(&j->manager->registry);
                job_ksm_run(j, KSM_PASSES, pace_measure);
                return;
        }
        planned = &j->ranges[j->next];
        t = &j->targets[planned->target];
        worker_packet_init(&p, WORKER_REGISTER, sizeof(p.ranges));
        p.ranges.index = planned->target;
        p.ranges.pid = t->pid;
        p.ranges.start_ticks = t->start_ticks;
        p.ranges.n = (uint32_t) planned->n;
        p.ranges.n_pages = planned->n_pages;
        memcpy(p.ranges.ranges, planned->ranges, planned->n * sizeof(*planned->ranges));
        p.header.size += (uint32_t) (planned->n * sizeof(*planned->ranges));
        r = job_call_target(j, t, &p, on_registered, on_register_done);
        if (r < 0)
                fail_call(j, r);
}

/* Written down before the first target is touched, so that a service that is killed in between
 * knows its own afterwards. What it says of earlier tries stays: an injector outlives its worker, and
 * what it registers meanwhile looks as if the process had done it itself. */
static int note_plan(struct job *j)
{
        struct registry *registry = &j->manager->registry;
        int r;

        for (size_t i = 0; i < j->n_ranges; i++) {
                struct job_ranges *planned = &j->ranges[i];
                const struct job_target *t = &j->targets[planned->target];
                const struct registered *g = registry_find(registry, t->pid, t->start_ticks);

                r = ranges_subtract(planned->ranges, planned->n, g ? g->ranges : NULL, g ? g->n_ranges : 0,
                                    &planned->undone, &planned->n_undone);
                if (r < 0)
                        return r;
                r = registry_add(registry, t->pid, t->start_ticks, t->dir_fd, t->pid_fd,
                                 j->report.domains[t->domain].text, planned->ranges, planned->n);
                if (r < 0)
                        return r;
        }
        return registry_save(registry);
}

static void on_planned(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;

        if (row->header.type != WORKER_ROW_PLANNED || row->ranges.index >= j->n_targets)
                return;
        (void) job_ranges_append(j, row->ranges.index, row->ranges.ranges, row->ranges.n,
                                 row->ranges.n_pages);
}

static void on_plan_done(void *userdata, int error)
{
        struct job *j = userdata;
        int r;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        if (j->cancelled || (j->n_ranges == 0 && j->manager->registry.n_items == 0)) {
                job_next_part(j);
                return;
        }
        j->next = 0;
        r = note_plan(j);
        if (r < 0) {
                forget_rest(j);
                job_fail_errno(j, r, "Cannot note what is about to be registered");
                return;
        }
        register_next(j);
}

static void plan(struct job *j)
{
        union worker_packet p;
        int r;

        worker_packet_init(&p, WORKER_PLAN, sizeof(p.plan));
        p.plan.domain = j->domain;
        p.plan.every_domain = j->selector.trust == TRUST_SYSTEM;
        r = job_call(j, &p, -1, on_planned, on_plan_done);
        if (r < 0)
                fail_call(j, r);
}

void job_plan(struct job *j)
{
        job_pace(j, j->report.n_pages / PAGES_PER_USEC, plan);
}

void job_domain_busy(struct job *j, const char *format, ...)
{
        _cleanup_(freep) char *message = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&message, format, ap);
        va_end(ap);
        if (r < 0)
                message = NULL;
        if (j->mechanism != MECHANISM_DIRECT) {
                /* Whose memory it is is none of the user's business. */
                job_fail(j, MERGEMEM_ERROR_DOMAIN_BUSY, "%s",
                         j->selector.only_own ? "Memory of another trust domain is registered with KSM, "
                                                "which keeps no domains apart."
                                              : message ?: "Out of memory.");
                return;
        }
        log_debug("Job %u leaves private pages of files alone: %s", j->id, message ?: "Out of memory.");
        (void) report_count(&j->report.refused, "of a file, and KSM is another trust domain's", j->n_rest);
        job_next_part(j);
}

/* What KSM would free for @d in this job. */
static uint64_t gain(const struct job *j, const struct report_domain *d)
{
        return d->n_duplicates - (j->mechanism == MECHANISM_DIRECT ? d->n_anonymous : 0);
}

/* KSM keeps no domains apart, so one at a time can have registered memory: the one that has, else
 * the one that gains most. False: the job has failed. */
static bool choose_domain(struct job *j)
{
        const struct registry *registry = &j->manager->registry;
        struct report *report = &j->report;
        struct report_domain *best = NULL;

        for (size_t i = 0; i < report->n_domains; i++) {
                struct report_domain *d = &report->domains[i];

                if (j->selector.trust != TRUST_SYSTEM && registry_other_domain(registry, d->text))
                        continue;
                if (!best || gain(j, d) > gain(j, best))
                        best = d;
        }
        if (!best) {
                job_domain_busy(j,
                                "Memory of another trust domain, %s, is registered with KSM, which keeps no "
                                "domains apart; unmerge that first, or merge with trust \"system\".",
                                registry_other_domain(registry, report->domains[0].text));
                return false;
        }

        j->chosen = true;
        j->domain = (uint32_t) (best - report->domains);
        best->chosen = true;
        for (size_t i = 0; i < report->n_domains; i++)
                if (&report->domains[i] != best && gain(j, &report->domains[i]) > 0)
                        (void) report_count(&report->refused, "another trust domain",
                                            gain(j, &report->domains[i]));
        return true;
}

static void on_counted(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        registry_settle(&j->manager->registry);
        job_census(j);
}

void job_merge_ksm(struct job *j)
{
        const struct mechanism_state *ksm = &j->manager->mechanisms[MECHANISM_KSM];

        if (!ksm->works) {
                (void) report_count(&j->report.refused, "of a file, and KSM does not work here", j->n_rest);
                job_next_part(j);
                return;
        }
        if (!j->chosen && !choose_domain(j))
                return;
        job_count(j, &j->manager->registry, on_counted);
}

void job_merge(struct job *j)
{
        j->report.mechanism = mechanism_to_string(j->mechanism);
        if (j->report.n_domains == 0 || (j->report.n_duplicates == 0 && j->n_rest == 0 && j->n_huge == 0)) {
                job_next_part(j);
                return;
        }
        job_set_state(j, JOB_MERGING);
        if (j->mechanism == MECHANISM_DIRECT)
                job_merge_direct(j);
        else
                job_merge_ksm(j);
}
