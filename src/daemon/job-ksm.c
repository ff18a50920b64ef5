/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"
#include "lib/ksm.h"

#define KSM_POLL_USEC (20U * 1000U)

/* ksmd does not count a pass over nothing: when it has not run for so long, on top of the sleep that it
 * was set to, it is done. */
#define KSM_IDLE_USEC (500U * 1000U)

/* Beyond this ksmd is not working for us: stuck, or somebody else set it to crawl. */
#define KSM_PATIENCE_USEC (120ULL * 1000U * 1000U)

static void start(struct job *j);

static void fail_call(struct job *j, int error, const char *what)
{
        if (!job_retry(j, error))
                job_fail_errno(j, error, what);
}

static void on_stopped(void *userdata, int error)
{
        struct job *j = userdata;

        j->manager->ksmd_cpu_nsec += job_ksm_spent_nsec(j);
        j->manager->driving = false;
        if (error < 0)
                fail_call(j, error, "Cannot put the knobs of KSM back");
        else if (j->ksm.resumed)
                job_pace(j, 0, start);
        else
                j->ksm.then(j);
}

/* For good, or until its time has come again. */
static void stop(struct job *j, bool resumes)
{
        union worker_packet p;
        int r;

        j->ksm.resumed = resumes;
        j->timer = sd_event_source_disable_unref(j->timer);
        worker_packet_init(&p, WORKER_KSM_STOP, sizeof(p.header));
        r = job_call(j, &p, -1, NULL, on_stopped);
        if (r < 0)
                fail_call(j, r, "Cannot call the worker");
}

/* Whether ksmd has stopped by itself, as its CPU time and the pages it looked at tell: in a PID
 * namespace its time cannot be read, and before Linux 6.6 the pages were not counted. */
static bool is_idle(struct job *j, const struct mm_ksm_counters *counters, uint64_t now)
{
        uint64_t activity = manager_ksmd_cpu_nsec(j->manager) + counters->pages_scanned;

        if (activity == 0 || activity != j->ksm.last_activity) {
                j->ksm.last_activity = activity;
                j->ksm.idle_since_usec = now;
        }
        return now - j->ksm.idle_since_usec >= KSM_IDLE_USEC + 2U * counters->sleep_millisecs * 1000U;
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
        passes = MIN(counters.full_scans - j->ksm.full_scans, (uint64_t) j->ksm.passes);
        job_set_progress(j, j->ksm.progress + (1.0 - j->ksm.progress) * (double) passes / j->ksm.passes);
        if (passes >= j->ksm.passes || j->cancelled || is_idle(j, &counters, usec)) {
                stop(j, false);
                return 0;
        }
        if (usec > j->ksm.deadline_usec) {
                (void) report_count(&j->report.refused, "ksmd did not finish in time", 1);
                stop(j, false);
                return 0;
        }
        if (j->slice_usec > 0 && job_ksm_spent_nsec(j) >= j->slice_usec * 1000U) {
                j->ksm.deadline_usec -= usec;
                stop(j, true);
                return 0;
        }
        r = sd_event_source_set_time_relative(source, KSM_POLL_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void on_started(void *userdata, int error)
{
        struct job *j = userdata;
        struct mm_ksm_counters counters;
        uint64_t now = 0;
        int r;

        if (error < 0) {
                fail_call(j, error, "Cannot start ksmd");
                return;
        }
        j->manager->driving = true;
        r = mm_ksm_read(j->manager->ksm_fd, &counters);
        if (r >= 0)
                r = sd_event_now(j->manager->event, CLOCK_MONOTONIC, &now);
        if (r >= 0)
                r = sd_event_add_time_relative(j->manager->event, &j->timer, CLOCK_MONOTONIC, KSM_POLL_USEC,
                                               1000, on_poll, j);
        if (r < 0) {
                job_fail_errno(j, r, "Cannot watch ksmd");
                return;
        }
        if (!j->ksm.resumed) {
                j->ksm.full_scans = counters.full_scans;
                j->ksm.deadline_usec = KSM_PATIENCE_USEC;
        }
        /* Only the time counts in which it runs. */
        j->ksm.deadline_usec += now;
        j->ksm.idle_since_usec = j->ksm.begun_usec = now;
}

uint64_t job_ksm_spent_nsec(const struct job *j)
{
        uint64_t cpu_nsec = manager_ksmd_cpu_nsec(j->manager), now;

        if (!j->manager->driving)
                return 0;
        if (cpu_nsec > 0)
                return cpu_nsec - MIN(cpu_nsec, j->ksm.cpu_nsec);
        /* In a PID namespace it cannot be told: all the time, then. */
        if (!j->by_rule || sd_event_now(j->manager->event, CLOCK_MONOTONIC, &now) < 0)
                return 0;
        return (now - MIN(now, j->ksm.begun_usec)) * 1000U;
}

static void start(struct job *j)
{
        const struct conf *c = &j->manager->conf;
        union worker_packet p;
        int r;

        j->ksm.cpu_nsec = manager_ksmd_cpu_nsec(j->manager);
        worker_packet_init(&p, WORKER_KSM_START, sizeof(p.ksm));
        p.ksm.pages_to_scan = (int64_t) c->ksm_pages_to_scan;
        p.ksm.sleep_millisecs = (int64_t) c->ksm_sleep_millisecs;
        p.ksm.use_zero_pages = c->ksm_use_zero_pages;
        p.ksm.smart_scan = c->ksm_smart_scan;
        p.ksm.advisor = c->ksm_advisor;
        p.ksm.merge_across_nodes = c->ksm_merge_across_nodes;
        p.ksm.max_page_sharing = c->ksm_max_page_sharing > 0 ? (int64_t) c->ksm_max_page_sharing : -1;
        r = job_call(j, &p, -1, NULL, on_started);
        if (r < 0)
                fail_call(j, r, "Cannot call the worker");
}

void job_ksm_run(struct job *j, unsigned passes, void (*then)(struct job *j))
{
        j->ksm.passes = passes;
        j->ksm.then = then;
        j->ksm.progress = j->progress;
        j->ksm.resumed = false;
        job_pace(j, 0, start);
}
