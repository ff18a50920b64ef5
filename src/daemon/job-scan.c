/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "daemon/job.h"
#include "daemon/limit.h"
#include "lib/owner.h"
#include "shared/clock.h"
#include "shared/log.h"
#include "shared/names.h"

/* How often a job begins again because the worker died. One that was held up does not count: whoever
 * did that is left out from then on. */
#define RESTARTS_MAX 16U

/* Each pass reads all memory again: more of them than this and BookkeepingMax= is simply too small. */
#define PARTS_MAX 64U

/* Pages that a job in one pass counts with: more is more than records can hold; less is not worth a word. */
#define EXPECTED_PAGES_MAX (UINT64_C(1) << 32)
#define EXPECTED_PAGES_MIN (UINT64_C(1) << 16)

/* The share of the bar that scanning takes. */
#define PROGRESS_SCAN 0.85
#define PROGRESS_SCAN_MERGE 0.5

static void scan_next(struct job *j);
static void begin_part(struct job *j);

/* The worker may be found dead, and the end be told, before worker_call() returns: @j may be gone then. */
static int call(struct job *j, struct job_target *t, const union worker_packet *p, int fd, worker_row_t row,
                worker_done_t done)
{
        if (worker_generation(j->manager->worker) != j->generation)
                return -EPIPE;
        j->busy = t;
        return worker_call(j->manager->worker, p, fd, row, done, j);
}

int job_call(struct job *j, const union worker_packet *p, int fd, worker_row_t row, worker_done_t done)
{
        return call(j, NULL, p, fd, row, done);
}

int job_call_target(struct job *j, struct job_target *t, const union worker_packet *p, worker_row_t row,
                    worker_done_t done)
{
        return call(j, t, p, t->dir_fd, row, done);
}

bool job_retry(struct job *j, int error)
{
        Manager *m = j->manager;
        bool unknown;

        if (j->type == JOB_UNMERGE || (error != -ETIMEDOUT && error != -EPIPE))
                return false;
        /* Whom mergemod waited for nobody knows: the next scan, which takes one at a time, meets him. */
        unknown = error == -ETIMEDOUT && !j->busy && j->direct.error == error;
        if ((error == -EPIPE || unknown) && j->n_restarts++ >= RESTARTS_MAX)
                return false;
        if (error == -ETIMEDOUT && !j->busy && !unknown)
                return false;
        /* The new worker has put KSM back. */
        m->driving = false;
        j->timer = sd_event_source_disable_unref(j->timer);
        if (error == -ETIMEDOUT && j->busy) {
                log_warning("Process %d held the worker up and is left alone for a while.", j->busy->pid);
                manager_mark_hung(m, j->busy->pid, j->busy->start_ticks);
                limit_penalize(m, &j->selector);
                j->busy->hung = true;
                /* The first pass counts it when it comes by. */
                if (j->part > 0)
                        (void) report_count(&j->report.skipped, exclusion_to_string(EXCLUSION_HUNG), 1);
        }
        /* What the part at hand has reported already must not count twice. A merge goes on where it was:
         * what it has merged would not be found again. */
        if (!job_changes(j->type))
                j->part = 0;
        begin_part(j);
        return true;
}

static void fail_call(struct job *j, int error)
{
        if (error < 0 && !job_retry(j, error))
                job_fail_errno(j, error, "The worker cannot go on");
}

static void take_row(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        struct report *r = &j->report;

        job_figures_row(j, row);
        switch (row->header.type) {
        case WORKER_ROW_OWNER:
                (void) report_add_owner(r, &row->owner,
                                        worker_packet_get_text((union worker_packet *) row,
                                                               sizeof(row->owner)),
                                        j->part == 0);
                break;
        case WORKER_ROW_DOMAIN:
                if (row->domain.domain < r->n_domains) {
                        r->domains[row->domain.domain].n_duplicates += row->domain.n_duplicates;
                        r->domains[row->domain.domain].n_anonymous += row->domain.n_anonymous;
                }
                break;
        case WORKER_ROW_TOTAL:
                r->n_anonymous += row->total.n_anonymous;
                r->n_zero += row->total.n_zero;
                r->n_huge += row->total.n_huge;
                j->n_huge = row->total.n_huge;
                j->n_rest = row->total.n_duplicates - row->total.n_anonymous;
                /* What mergemod refuses is freed only where KSM works. */
                r->n_duplicates += row->total.n_anonymous;
                if (j->mechanism != MECHANISM_DIRECT || job_may_use_ksm(j))
                        r->n_duplicates += j->n_rest;
        }
}

static void on_grouped(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;

        /* A merge whose worker was replaced comes by a second time. */
        if (j->grouped)
                return;
        /* The worker can end among them. In the first part all begins from nothing then; what comes later is
         * figures only when all of it is there. */
        if (j->part > 0 && row->header.type != WORKER_ROW_GROUP && row->header.type != WORKER_PROGRESS)
                (void) kept_rows_add(&j->kept, row);
        else
                take_row(j, row);
}

void job_next_part(struct job *j)
{
        j->grouped = false;
        if (++j->part < j->n_parts && !j->cancelled) {
                begin_part(j);
                return;
        }
        job_finish(j);
}

static void on_group_done(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        kept_rows_give(&j->kept, take_row, j);
        j->grouped = true;
        job_figures_clear(j);
        j->manager->last_scan_usec = clock_usec(CLOCK_REALTIME);
        if (j->type == JOB_MERGE)
                job_merge(j);
        else
                job_next_part(j);
}

static void group(struct job *j)
{
        union worker_packet p;
        int r;

        worker_packet_init(&p, WORKER_GROUP, sizeof(p.header));
        r = job_call(j, &p, -1, on_grouped, on_group_done);
        if (r < 0)
                fail_call(j, r);
}

static void scan_done(struct job *j)
{
        const struct selector_value *missing = selector_unseen(&j->selector, true);

        if (missing) {
                job_fail(j, MERGEMEM_ERROR_NO_SUCH_LIBRARY,
                         "No process that may be looked at has the library %s in its memory.",
                         missing->text);
                return;
        }
        if (!j->matched && j->forbidden) {
                job_fail(j, MERGEMEM_ERROR_NOTHING_MATCHES,
                         "What matches is memory of libraries of which a rule says never.");
                return;
        }
        if (j->incomplete && j->one_pass && j->n_expected_pages < EXPECTED_PAGES_MAX) {
                j->n_expected_pages = MAX(j->n_expected_pages * 2, EXPECTED_PAGES_MIN);
                log_debug("Job %u begins again, with room for %" PRIu64 " pages.", j->id,
                          j->n_expected_pages);
                begin_part(j);
                return;
        }
        if (j->incomplete && j->n_parts < PARTS_MAX && j->part == 0) {
                /* More than fits: the same again, in twice as many passes. */
                j->n_parts *= 2;
                log_debug("Job %u goes on in %u passes.", j->id, j->n_parts);
                begin_part(j);
                return;
        }
        job_accept(j);
        job_pace(j, j->report.n_pages / PAGES_PER_USEC, group);
}

static const char *skip_reason(int error)
{
        switch (error) {
        case -ESRCH:
        case -ENOENT:
                return "ended or changed program";
        case -EACCES:
        case -EPERM:
                return "access refused";
        default:
                return "cannot be read";
        }
}

static void on_scanned(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        const struct worker_scanned *s = &row->scanned;
        double share = j->type == JOB_MERGE ? PROGRESS_SCAN_MERGE : PROGRESS_SCAN;
        const struct selector_value *v;

        switch (row->header.type) {
        case WORKER_PROGRESS:
                job_set_progress(j, share *
                                            (j->part + (double) row->progress.n_pages /
                                                               (double) (j->n_expected_pages + 1)) /
                                            j->n_parts);
                break;
        case WORKER_ROW_MATCHED:
                v = job_library_at(j, row->matched.library);
                if (v)
                        ((struct selector_value *) v)->seen = true;
                break;
        case WORKER_ROW_SCANNED:
                if (s->error < 0)
                        (void) report_count(&j->report.skipped, skip_reason(s->error), 1);
                if (s->forbidden && !j->by_rule) {
                        j->forbidden = true;
                        if (j->part == 0)
                                (void) report_count(&j->report.skipped,
                                                    "a library of which a rule says never", 1);
                }
                if (!s->matched)
                        break;
                j->matched = true;
                j->incomplete = j->incomplete || s->incomplete;
                j->from = s->next;
                j->report.n_processes += s->next == 0;
                j->report.n_read += s->n_read;
                if (j->part == 0) {
                        j->report.n_pages += s->n_pages;
                        j->report.n_swapped += s->n_swapped;
                        j->report.n_ksm += s->n_ksm;
                        j->report.domains[j->targets[j->next].domain].n_processes += s->next == 0;
                        j->manager->n_scanned_total += s->n_pages;
                }
        }
}

static void on_scan_done(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        /* A library was asked for: the caller is answered as soon as each has been met once. */
        if (j->matched && !selector_unseen(&j->selector, true))
                job_accept(j);
        /* Unless only the slice was over. */
        if (j->from == 0)
                j->next++;
        scan_next(j);
}

static void scan_slice(struct job *j)
{
        int r;

        for (; j->next < j->n_targets; j->next++) {
                struct job_target *t = &j->targets[j->next];
                union worker_packet p;

                if (!t->selected)
                        continue;
                if (t->hung) {
                        if (j->part == 0)
                                (void) report_count(&j->report.skipped, exclusion_to_string(EXCLUSION_HUNG),
                                                    1);
                        continue;
                }
                worker_packet_init(&p, WORKER_SCAN, sizeof(p.target));
                p.target.index = (uint32_t) j->next;
                p.target.domain = t->domain;
                p.target.pid = t->pid;
                p.target.start_ticks = t->start_ticks;
                p.target.exe = t->exe_id;
                p.target.other_rules = t->other_rules;
                p.target.from = j->from;
                p.target.slice_usec = j->slice_usec;
                j->from = 0;
                worker_packet_text(&p, t->exe ?: "");
                r = job_call_target(j, t, &p, on_scanned, on_scan_done);
                if (r < 0)
                        fail_call(j, r);
                return;
        }
        scan_done(j);
}

static void scan_next(struct job *j)
{
        job_pace(j, 0, scan_slice);
}

static void begin_scan(struct job *j)
{
        j->next = 0;
        scan_next(j);
}

static void on_begun(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        job_libraries(j, begin_scan);
}

static uint64_t bookkeeping_bytes(const struct job *j)
{
        uint64_t max_bytes = j->manager->conf.bookkeeping_max_bytes;

        /* A quarter more than there was: processes grow. */
        return j->one_pass ? MAX(max_bytes, mm_records_bytes(j->n_expected_pages / 4 * 5)) : max_bytes;
}

static void begin_part(struct job *j)
{
        union worker_packet p;
        int r;

        if (j->part == 0) {
                report_restart(&j->report);
                job_figures_begin(j);
                j->grouped = false;
        }
        kept_rows_done(&j->kept);
        job_figures_clear(j);
        j->report.n_processes = 0;
        job_clear_ranges(j);
        job_set_state(j, JOB_SCANNING);
        j->incomplete = false;
        j->busy = NULL;
        j->from = 0;
        j->generation = worker_generation(j->manager->worker);
        worker_packet_init(&p, WORKER_BEGIN, sizeof(p.begin));
        p.begin.bookkeeping_max_bytes = bookkeeping_bytes(j);
        p.begin.seed = j->seed;
        p.begin.part = j->part;
        p.begin.n_parts = j->n_parts;
        p.begin.cross_owners = j->selector.all;
        p.begin.include_private = job_names_processes(j);
        p.begin.left_out = j->left_out;
        p.begin.huge = j->huge;
        /* By itself the service finds out what else there would be. */
        p.begin.zero_only = j->zero_only && !j->by_rule;
        p.begin.stacks = j->stacks;
        p.begin.direct = j->mechanism == MECHANISM_DIRECT;
        p.begin.tell_groups = (j->manager->conf.log_mask & CONF_LOG_GROUPS) != 0;
        p.begin.use_zero_pages = (int8_t) j->manager->conf.ksm_use_zero_pages;
        r = job_call(j, &p, -1, NULL, on_begun);
        if (r < 0)
                job_fail_errno(j, r, "Cannot call the worker");
}

void job_scan(struct job *j)
{
        int r;

        /* The passes of one round must agree on the seed. */
        r = mm_hash_seed(&j->seed);
        if (r < 0) {
                job_fail_errno(j, r, "Cannot draw a hash seed");
                return;
        }
        if (!selector_has(&j->selector, SELECTOR_SHLIB))
                job_accept(j);
        begin_part(j);
}
