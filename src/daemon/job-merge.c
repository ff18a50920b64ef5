/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "daemon/job.h"
#include "lib/inject.h"
#include "lib/ksm.h"
#include "shared/log.h"
#include "shared/names.h"

/* ksmd needs two passes over an area: the first notes checksums, the second merges what did not
 * change. The pass under way when we come does not count. */
#define KSM_PASSES 3U
#define KSM_POLL_USEC (20U * 1000U)
/* Beyond this ksmd is not working for us: stuck, or somebody else set it to crawl. */
#define KSM_PATIENCE_USEC (120ULL * 1000U * 1000U)

#define PROGRESS_CENSUS 0.5
#define PROGRESS_REGISTERED 0.65
#define PROGRESS_MERGED 0.95

static void census_next(struct job *j);
static void register_next(struct job *j);
static void refresh_next(struct job *j);

static void fail_call(struct job *j, int error)
{
        if (!job_retry(j, error))
                job_fail_errno(j, error, "The worker cannot go on");
}

static int call(struct job *j, union worker_packet *p, int fd, worker_row_t row, worker_done_t done)
{
        if (worker_generation(j->manager->worker) != j->generation)
                return -EPIPE;
        return worker_call(j->manager->worker, p, fd, row, done, j);
}

static void on_refreshed(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        struct job_target *t = &j->targets[j->ranges[j->next].target];
        struct registered *g = registry_find(&j->manager->registry, t->pid, t->start_ticks);

        if (row->header.type != WORKER_ROW_KSM || row->ksm_row.error < 0 || !g)
                return;
        g->merging_pages = row->ksm_row.merging_pages + row->ksm_row.zero_pages;
        g->rmap_items = row->ksm_row.rmap_items;
}

static void on_refresh_done(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        j->next++;
        refresh_next(j);
}

/* The kernel's own figures of those who took part; then the part is done. */
static void refresh_next(struct job *j)
{
        union worker_packet p;
        int r;

        if (j->next >= j->n_ranges) {
                j->report.metadata_bytes = registry_metadata_bytes(&j->manager->registry);
                registry_refreshed(&j->manager->registry);
                (void) registry_save(&j->manager->registry);
                manager_emit_totals(j->manager);
                manager_refresh(j->manager);
                job_next_part(j);
                return;
        }
        worker_packet_init(&p, WORKER_REFRESH, sizeof(p.target));
        r = call(j, &p, j->targets[j->ranges[j->next].target].dir_fd, on_refreshed, on_refresh_done);
        if (r < 0)
                fail_call(j, r);
}

static void on_measured(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        const struct worker_measured *m = &row->measured;
        uint64_t saved;

        if (row->header.type != WORKER_ROW_MEASURED)
                return;
        saved = m->n_frames_before - MIN(m->n_frames_before, m->n_frames_shared);
        j->report.n_merged += m->n_merged;
        j->report.n_saved += saved;
        j->report.n_shared += m->n_frames_shared;
        j->manager->n_merged_total += m->n_merged;
        j->manager->n_failed_total += m->n_planned - m->n_merged;
        registry_account(&j->manager->registry, saved, m->n_merged, m->n_frames_shared);
        if (m->n_gone > 0)
                (void) report_count(&j->report.refused, "page gone meanwhile", m->n_gone);
        if (m->n_planned > m->n_merged)
                (void) report_count(&j->report.refused, "page changed or not taken by KSM", m->n_planned - m->n_merged);
}

static void on_measure_done(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        j->next = 0;
        refresh_next(j);
}

static void on_ksm_stopped(void *userdata, int error)
{
        struct job *j = userdata;
        union worker_packet p;
        int r;

        j->manager->driving = false;
        j->manager->ksmd_cpu_nsec += manager_ksmd_cpu_nsec(j->manager) - j->ksmd_cpu_nsec;
        if (error < 0) {
                fail_call(j, error);
                return;
        }
        worker_packet_init(&p, WORKER_MEASURE, sizeof(p.header));
        r = call(j, &p, -1, on_measured, on_measure_done);
        if (r < 0)
                fail_call(j, r);
}

static void stop_ksm(struct job *j)
{
        union worker_packet p;
        int r;

        j->timer = sd_event_source_disable_unref(j->timer);
        worker_packet_init(&p, WORKER_KSM_STOP, sizeof(p.header));
        r = call(j, &p, -1, NULL, on_ksm_stopped);
        if (r < 0)
                fail_call(j, r);
}

static int on_poll(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct job *j = userdata;
        struct mm_ksm_counters counters;
        uint64_t passes;
        int r;

        r = mm_ksm_read(j->manager->ksm_fd, &counters);
        if (r < 0) {
                job_fail_errno(j, r, "Cannot read the counters of KSM");
                return 0;
        }
        passes = counters.full_scans - j->full_scans;
        job_set_progress(j, (j->part + PROGRESS_REGISTERED + (PROGRESS_MERGED - PROGRESS_REGISTERED) *
                                     (double) MIN(passes, (uint64_t) KSM_PASSES) / KSM_PASSES) / j->n_parts);
        if (passes >= KSM_PASSES) {
                stop_ksm(j);
                return 0;
        }
        if (usec > j->deadline_usec) {
                (void) report_count(&j->report.refused, "ksmd did not finish in time", 1);
                stop_ksm(j);
                return 0;
        }
        r = sd_event_source_set_time_relative(source, KSM_POLL_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void on_ksm_started(void *userdata, int error)
{
        struct job *j = userdata;
        struct mm_ksm_counters counters;
        uint64_t now;
        int r;

        if (error < 0) {
                if (!job_retry(j, error))
                        job_fail_errno(j, error, "Cannot start ksmd");
                return;
        }
        j->manager->driving = true;
        r = mm_ksm_read(j->manager->ksm_fd, &counters);
        if (r >= 0)
                r = sd_event_now(j->manager->event, CLOCK_MONOTONIC, &now);
        if (r >= 0)
                r = sd_event_add_time_relative(j->manager->event, &j->timer, CLOCK_MONOTONIC, KSM_POLL_USEC, 1000,
                                               on_poll, j);
        if (r < 0) {
                job_fail_errno(j, r, "Cannot watch ksmd");
                return;
        }
        j->full_scans = counters.full_scans;
        j->deadline_usec = now + KSM_PATIENCE_USEC;
}

static void start_ksm(struct job *j)
{
        const struct conf *c = &j->manager->conf;
        union worker_packet p;
        int r;

        (void) registry_save(&j->manager->registry);
        worker_packet_init(&p, WORKER_KSM_START, sizeof(p.ksm));
        p.ksm.pages_to_scan = (int64_t) c->ksm_pages_to_scan;
        p.ksm.sleep_millisecs = (int64_t) c->ksm_sleep_millisecs;
        p.ksm.use_zero_pages = c->ksm_use_zero_pages;
        j->ksmd_cpu_nsec = manager_ksmd_cpu_nsec(j->manager);
        r = call(j, &p, -1, NULL, on_ksm_started);
        if (r < 0)
                fail_call(j, r);
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
        if (ranges_subtract(planned->ranges, planned->n, a->ranges, a->n, &left, &n_left) < 0)
                return;
        free(planned->ranges);
        planned->ranges = left;
        planned->n = n_left;
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
        if (g && planned->n > 0)
                (void) registry_remove(&j->manager->registry, g, planned->ranges, planned->n);
        j->next++;
        job_set_progress(j, (j->part + PROGRESS_CENSUS + (PROGRESS_REGISTERED - PROGRESS_CENSUS) *
                                     (double) j->next / (double) j->n_ranges) / j->n_parts);
        register_next(j);
}

static void register_next(struct job *j)
{
        const struct job_ranges *planned;
        const struct job_target *t;
        union worker_packet p;
        int r;

        if (j->next >= j->n_ranges) {
                start_ksm(j);
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
        r = call(j, &p, t->dir_fd, on_registered, on_register_done);
        if (r < 0)
                fail_call(j, r);
}

/* Written down before the first target is touched, so that a service that is killed in between
 * knows its own afterwards. */
static int note_plan(struct job *j)
{
        struct registry *registry = &j->manager->registry;
        int r;

        for (size_t i = 0; i < j->n_ranges; i++) {
                const struct job_ranges *planned = &j->ranges[i];
                const struct job_target *t = &j->targets[planned->target];
                bool is_new = !registry_find(registry, t->pid, t->start_ticks);

                r = registry_add(registry, t->pid, t->start_ticks, t->dir_fd, t->pid_fd,
                                 j->report.domains[t->domain].text, planned->ranges, planned->n);
                if (r < 0)
                        return r;
                if (is_new)
                        registry_find(registry, t->pid, t->start_ticks)->base_pages = t->ksm_pages;
        }
        return registry_save(registry);
}

static void on_planned(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;

        if (row->header.type != WORKER_ROW_PLANNED || row->ranges.index >= j->n_targets)
                return;
        (void) job_ranges_append(j, row->ranges.index, row->ranges.ranges, row->ranges.n, row->ranges.n_pages);
}

static void on_plan_done(void *userdata, int error)
{
        struct job *j = userdata;
        int r;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        if (j->n_ranges == 0 && registry_domain(&j->manager->registry) == NULL) {
                job_next_part(j);
                return;
        }
        r = note_plan(j);
        if (r < 0) {
                job_fail_errno(j, r, "Cannot note what is about to be registered");
                return;
        }
        j->next = 0;
        register_next(j);
}

static void plan(struct job *j)
{
        union worker_packet p;
        int r;

        worker_packet_init(&p, WORKER_PLAN, sizeof(p.plan));
        p.plan.domain = j->domain;
        p.plan.every_domain = j->selector.trust == TRUST_SYSTEM;
        r = call(j, &p, -1, on_planned, on_plan_done);
        if (r < 0)
                fail_call(j, r);
}

static void on_census(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        struct job_target *t = &j->targets[j->next];
        const struct worker_ksm_row *k = &row->ksm_row;

        if (row->header.type != WORKER_ROW_KSM || k->error < 0)
                return;
        t->ksm_pages = k->merging_pages + k->zero_pages;
        t->registered = k->mergeable > 0 || (k->mergeable < 0 && (k->rmap_items > 0 || k->merging_pages > 0));
}

/* Who else has memory in KSM's one tree: programs that registered themselves, and children that
 * inherited it from ours; with either, pages of our domain could meet theirs. */
static void census_done(struct job *j)
{
        const struct job_target *foreign = NULL;
        size_t n_foreign = 0;

        for (size_t i = 0; i < j->n_targets; i++) {
                const struct job_target *t = &j->targets[i];

                if (!t->registered || registry_find(&j->manager->registry, t->pid, t->start_ticks))
                        continue;
                foreign = foreign ?: t;
                n_foreign++;
        }
        if (foreign && j->selector.trust != TRUST_SYSTEM) {
                job_fail(j, MERGEMEM_ERROR_DOMAIN_BUSY,
                         "%zu process%s registered memory with KSM by itself or inherited it (process %d, %s), and KSM keeps no "
                         "trust domains apart; trust \"system\" merges nevertheless.",
                         n_foreign, n_foreign == 1 ? "" : "es", foreign->pid, foreign->exe ?: "unknown program");
                return;
        }
        plan(j);
}

static void on_census_done(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        j->next++;
        census_next(j);
}

static void census_next(struct job *j)
{
        union worker_packet p;
        int r;

        if (j->next >= j->n_targets) {
                census_done(j);
                return;
        }
        worker_packet_init(&p, WORKER_REFRESH, sizeof(p.target));
        r = call(j, &p, j->targets[j->next].dir_fd, on_census, on_census_done);
        if (r < 0)
                fail_call(j, r);
}

/* With KSM one domain at a time can have registered memory: the one that has, else the one that
 * gains most. False: the job has failed. */
static bool choose_domain(struct job *j)
{
        struct report *report = &j->report;
        const char *held = registry_domain(&j->manager->registry);
        size_t best = 0;

        for (size_t i = 1; i < report->n_domains; i++)
                if (report->domains[i].n_duplicates > report->domains[best].n_duplicates)
                        best = i;
        if (held && j->selector.trust != TRUST_SYSTEM) {
                for (best = 0; best < report->n_domains; best++)
                        if (streq(report->domains[best].text, held))
                                break;
                if (best == report->n_domains) {
                        job_fail(j, MERGEMEM_ERROR_DOMAIN_BUSY,
                                 "Memory of another trust domain, %s, is registered with KSM, which keeps no domains apart; "
                                 "unmerge that first, or merge with trust \"system\".", held);
                        return false;
                }
        }
        j->domain = (uint32_t) best;
        for (size_t i = 0; i < report->n_domains; i++) {
                report->domains[i].chosen = i == best;
                if (i != best && report->domains[i].n_duplicates > 0)
                        (void) report_count(&report->refused, "another trust domain", report->domains[i].n_duplicates);
        }
        return true;
}

void job_merge(struct job *j)
{
        j->report.mechanism = mechanism_to_string(j->mechanism);
        if (j->report.n_domains == 0 || j->report.n_duplicates == 0) {
                job_next_part(j);
                return;
        }
        if (j->part == 0 && !choose_domain(j))
                return;
        job_set_state(j, JOB_MERGING);
        j->next = 0;
        census_next(j);
}
