/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"
#include "daemon/power.h"
#include "daemon/pressure.h"
#include "shared/clock.h"

/* Often enough for what changes within seconds; seldom enough to be asked between any two steps. */
#define CONDITIONS_KEEP_USEC (1000ULL * 1000U)

/* So much may a wait for the budget be late. */
#define PACE_SLACK_USEC (20U * 1000U)

const struct conditions *engine_conditions(struct engine *e, uint64_t now)
{
        Manager *m = e->manager;

        if (e->conditions_usec > 0 && now - e->conditions_usec < CONDITIONS_KEEP_USEC)
                return &e->conditions;
        e->conditions_usec = now;
        e->conditions = (struct conditions) {
                .saving_power = !m->conf.on_battery && power_is_saved(e->sys_fd),
                .cpu_pressure = pressure_read(m->proc_fd, "cpu") >= PRESSURE_CPU_HIGH,
                .memory_pressure = now < e->memory_short_until_usec ||
                                   pressure_read(m->proc_fd, "memory") >= PRESSURE_MEMORY_HIGH,
        };
        return &e->conditions;
}

void engine_charge(struct engine *e, uint64_t now)
{
        Manager *m = e->manager;
        uint64_t spent_nsec = manager_cpu_nsec(m) + m->ksmd_cpu_nsec, spent_usec;

        if (m->running)
                spent_nsec += job_ksm_spent_nsec(m->running);
        /* A job that ends while ksmd works takes what that has spent with it. */
        if (spent_nsec < e->charged_nsec)
                e->charged_nsec = spent_nsec;
        spent_usec = (spent_nsec - e->charged_nsec) / 1000U;
        e->charged_nsec += spent_usec * 1000U;
        budget_charge(&e->budget, now, spent_usec);
        if (m->running && m->running->rule)
                budget_charge(&m->running->rule->budget, now, spent_usec);
}

/* When work may go on, and for how long. */
static uint64_t next_slice(struct job *j, uint64_t now, uint64_t least_usec)
{
        struct engine *e = j->manager->engine;
        struct engine_rule *rule = j->rule;
        uint64_t start, own_start, own_slice;

        start = budget_next(&e->budget, now, j->manager->conf.cpu_quota_percent, least_usec, &j->slice_usec);
        if (rule->cpu_quota_percent > 0) {
                own_start = budget_next(&rule->budget, now, rule->cpu_quota_percent, least_usec, &own_slice);
                start = MAX(start, own_start);
                j->slice_usec = MIN(j->slice_usec, own_slice);
        }
        own_start = schedule_resume(&rule->schedule, engine_conditions(e, now), now);
        /* Once targets are touched the job is seen through, but not faster. */
        if (own_start == SCHEDULE_NEVER)
                own_start = j->state == JOB_MERGING ? now : now + SCHEDULE_RETRY_USEC;
        return MAX(start, own_start);
}

static int on_pace(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct job *j = userdata;
        void (*then)(struct job *j) = j->pace.then;

        j->timer = sd_event_source_disable_unref(j->timer);
        j->pace.then = NULL;
        job_pace(j, j->pace.least_usec, then);
        return 0;
}

void job_pace(struct job *j, uint64_t least_usec, void (*then)(struct job *j))
{
        uint64_t now = clock_usec(CLOCK_MONOTONIC), start;
        int r;

        j->slice_usec = 0;
        if (!j->rule || j->hurried || j->cancelled) {
                then(j);
                return;
        }
        engine_charge(j->manager->engine, now);
        start = next_slice(j, now, least_usec);
        if (start <= now) {
                then(j);
                return;
        }
        j->pace.then = then;
        j->pace.least_usec = least_usec;
        r = sd_event_add_time(j->manager->event, &j->timer, CLOCK_MONOTONIC, start, PACE_SLACK_USEC, on_pace,
                              j);
        if (r < 0)
                job_fail_errno(j, r, "Cannot wait");
}

void job_hurry(struct job *j)
{
        j->hurried = true;
        if (j->pace.then) {
                (void) sd_event_source_set_time(j->timer, 0);
                (void) sd_event_source_set_enabled(j->timer, SD_EVENT_ONESHOT);
        }
}
