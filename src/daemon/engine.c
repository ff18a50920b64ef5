/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/epoll.h>

#include "daemon/engine.h"
#include "daemon/job.h"
#include "daemon/pressure.h"
#include "shared/clock.h"
#include "shared/log.h"

/* For so long memory counts as short after the kernel has said so. */
#define MEMORY_SHORT_USEC (10ULL * 1000U * 1000U)

/* Nothing tells us that a battery is charged again. */
#define POWER_POLL_USEC (30ULL * 1000U * 1000U)

static struct engine_rule *rule_free(struct engine_rule *r)
{
        if (!r)
                return NULL;
        sd_event_source_disable_unref(r->timer);
        backoff_done(&r->backoff);
        free(r->complaint);
        free(r);
        return NULL;
}

static void arm(struct engine_rule *r)
{
        struct engine *e = r->manager->engine;
        uint64_t now = clock_usec(CLOCK_MONOTONIC), next;

        next = schedule_next(&r->schedule, engine_conditions(e, now), now);
        if (next == SCHEDULE_NEVER)
                next = now + POWER_POLL_USEC;
        (void) sd_event_source_set_time(r->timer, next);
        (void) sd_event_source_set_time_accuracy(r->timer, schedule_slack_usec(next, now));
        (void) sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct engine_rule *r = userdata;
        struct engine *e = r->manager->engine;
        uint64_t now = clock_usec(CLOCK_MONOTONIC);

        /* What the timer was set for may not hold any more. */
        if (schedule_next(&r->schedule, engine_conditions(e, now), now) > now) {
                arm(r);
                return 0;
        }
        r->due = true;
        engine_dispatch(e);
        return 0;
}

static int on_pressure(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct engine *e = userdata;

        if (events & (EPOLLERR | EPOLLHUP)) {
                e->pressure_source = sd_event_source_disable_unref(e->pressure_source);
                return 0;
        }
        e->memory_short_until_usec = clock_usec(CLOCK_MONOTONIC) + MEMORY_SHORT_USEC;
        e->conditions_usec = 0;
        for (size_t i = 0; i < e->n_rules; i++)
                if (!e->rules[i]->due)
                        arm(e->rules[i]);
        return 0;
}

static void watch_pressure(struct engine *e)
{
        int fd, r;

        fd = pressure_open_trigger(e->manager->proc_fd);
        if (fd < 0) {
                log_debug_errno(fd, "The kernel does not report memory pressure: %m");
                return;
        }
        r = sd_event_add_io(e->manager->event, &e->pressure_source, fd, EPOLLPRI, on_pressure, e);
        if (r < 0) {
                safe_close(fd);
                log_debug_errno(r, "Cannot watch memory pressure: %m");
                return;
        }
        (void) sd_event_source_set_io_fd_own(e->pressure_source, true);
}

int engine_new(Manager *m, struct engine **ret)
{
        struct engine *e;

        e = malloc(sizeof(*e));
        if (!e)
                return -ENOMEM;
        *e = (struct engine) { .manager = m, .sys_fd = -EBADF };
        e->sys_fd = open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        watch_pressure(e);
        *ret = e;
        return 0;
}

/* Those that are not in force any more. */
static void forget_rules(struct engine *e)
{
        for (size_t i = 0; i < e->n_rules; i++)
                if (e->rules[i])
                        account_forget_rule(&e->manager->account, e->rules[i]->name);
}

static void drop_rules(struct engine_rule **rules, size_t n)
{
        for (size_t i = 0; i < n; i++)
                rule_free(rules[i]);
        free(rules);
}

struct engine *engine_free(struct engine *e)
{
        if (!e)
                return NULL;
        drop_rules(e->rules, e->n_rules);
        sd_event_source_disable_unref(e->pressure_source);
        sd_event_source_disable_unref(e->yield_source);
        safe_close(e->sys_fd);
        free(e);
        return NULL;
}

static struct engine_rule *take_known(struct engine *e, const char *name)
{
        for (size_t i = 0; i < e->n_rules; i++)
                if (e->rules[i] && streq(e->rules[i]->name, name))
                        return TAKE_PTR(e->rules[i]);
        return NULL;
}

static int add_rule(struct engine *e, const struct rule *rule, struct engine_rule **ret)
{
        const struct conf *c = &e->manager->conf;
        struct engine_rule *r = take_known(e, rule->name);
        int k = 0;

        if (!r) {
                r = malloc(sizeof(*r));
                if (!r)
                        return -ENOMEM;
                *r = (struct engine_rule) { .manager = e->manager };
                (void) snprintf(r->name, sizeof(r->name), "%s", rule->name);
                r->schedule.begun_usec = clock_usec(CLOCK_MONOTONIC);
                /* What its first turn merges and costs counts. */
                (void) erosion_judge(&r->erosion, r->schedule.begun_usec, &(struct erosion_sample) {});
                k = sd_event_add_time(e->manager->event, &r->timer, CLOCK_MONOTONIC, 0, 0, on_timer, r);
        }
        r->due = false;
        r->to_unmerge = false;
        r->cpu_quota_percent = rule->cpu_quota_percent;
        r->on_erosion = rule->on_erosion;
        r->schedule.interval_usec = rule_interval_usec(c, rule);
        r->schedule.min_age_usec = rule->min_age_usec;
        r->schedule.on_battery = c->on_battery;
        r->schedule.spread_usec = schedule_spread(r->name, r->schedule.interval_usec);
        /* What it is about may have changed. */
        backoff_done(&r->backoff);
        free(TAKE_PTR(r->complaint));
        *ret = r;
        return k;
}

int engine_reload(struct engine *e)
{
        const struct conf *c = &e->manager->conf;
        struct job *j = e->manager->running && e->manager->running->by_rule ? e->manager->running : NULL;
        struct engine_rule **rules;
        size_t n = 0;
        int r = 0;

        rules = calloc(c->n_rules, sizeof(struct engine_rule *));
        if (!rules)
                return -ENOMEM;
        engine_charge(e, clock_usec(CLOCK_MONOTONIC));
        if (j)
                j->rule = NULL;
        e->n_never_pages = 0;
        for (size_t i = 0; i < c->n_rules && c->automatic && r >= 0; i++) {
                if (c->rules[i].merge == RULE_MERGE_NEVER)
                        continue;
                r = add_rule(e, &c->rules[i], &rules[n]);
                n += rules[n] != NULL;
        }
        if (r < 0) {
                drop_rules(rules, n);
                rules = NULL;
                n = 0;
        }
        forget_rules(e);
        drop_rules(e->rules, e->n_rules);
        e->rules = rules;
        e->n_rules = n;
        e->conditions_usec = 0;
        for (size_t i = 0; i < n; i++)
                arm(e->rules[i]);
        /* Its rule may be gone, or say something else: what it began with targets is wound up, no more. */
        if (j) {
                job_hurry(j);
                job_cancel(j);
        }
        return r;
}

static const struct rule *find_rule(const struct engine *e, const struct engine_rule *r)
{
        return conf_find_rule(&e->manager->conf, r->name);
}

void engine_expect(struct engine *e, const struct rule_subject *s, const struct rule *decides,
                   uint64_t born_usec)
{
        for (size_t i = 0; i < e->n_rules; i++) {
                struct engine_rule *r = e->rules[i];

                if (!rule_looks_at(find_rule(e, r), decides, s))
                        continue;
                schedule_born(&r->schedule, born_usec);
                if (!r->due)
                        arm(r);
        }
}

static void begin_turn(struct engine *e, struct engine_rule *r)
{
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        struct job *j;
        int k;

        r->due = false;
        engine_charge(e, now);
        r->schedule.last_usec = now;
        r->schedule.born_usec = 0;
        k = job_new_for_rule(e->manager, r, find_rule(e, r), &j);
        if (k < 0) {
                log_warning_errno(k, "Cannot begin with rule \"%s\": %m", r->name);
                arm(r);
                return;
        }
        e->manager->running = j;
        job_start(j);
}

/* The one that is due and has waited longest. */
static struct engine_rule *first_due(struct engine *e)
{
        struct engine_rule *first = NULL;

        for (size_t i = 0; i < e->n_rules; i++)
                if (e->rules[i]->due &&
                    (!first || e->rules[i]->schedule.last_usec < first->schedule.last_usec))
                        first = e->rules[i];
        return first;
}

void engine_dispatch(struct engine *e)
{
        struct engine_rule *first = e->manager->running ? NULL : first_due(e);

        if (first)
                begin_turn(e, first);
}

bool engine_goes_first(struct engine *e)
{
        struct engine_rule *first = first_due(e);

        return first && first->n_yielded++ > 0;
}

static int on_yield(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct engine *e = userdata;

        manager_dispatch(e->manager);
        return 0;
}

/* Has manager_dispatch() ask again at @usec. */
static void wait_for_turn(struct engine *e, uint64_t usec)
{
        int r;

        if (e->yield_source) {
                (void) sd_event_source_set_time(e->yield_source, usec);
                (void) sd_event_source_set_enabled(e->yield_source, SD_EVENT_ONESHOT);
                return;
        }
        r = sd_event_add_time(e->manager->event, &e->yield_source, CLOCK_MONOTONIC, usec, 0, on_yield, e);
        if (r < 0)
                log_warning_errno(r, "Cannot wait for the turn of a rule: %m");
}

void engine_make_way(struct job *j, bool for_root)
{
        uint64_t until;

        /* What is wound up already is so without sparing. */
        if (j->rule && !for_root && !j->cancelled) {
                until = j->started_usec + schedule_yield_usec(j->rule->n_yielded);
                if (clock_usec(CLOCK_MONOTONIC) < until) {
                        wait_for_turn(j->manager->engine, until);
                        return;
                }
        }
        if (j->state == JOB_MERGING) {
                job_hurry(j);
                return;
        }
        if (j->rule && !for_root)
                j->rule->n_yielded++;
        job_cancel(j);
}

/* The same failure at every turn is told once. */
static void complain(struct engine_rule *r, const char *message)
{
        if (message && (!r->complaint || !streq(r->complaint, message)))
                log_warning("Rule \"%s\": %s", r->name, message);
        free(r->complaint);
        r->complaint = message ? strdup(message) : NULL;
}

void engine_turn_ended(struct job *j, enum job_state state)
{
        struct engine_rule *r = j->rule;

        engine_charge(j->manager->engine, clock_usec(CLOCK_MONOTONIC));
        if (state == JOB_DONE)
                job_note_gains(j);
        if (state != JOB_CANCELLED)
                complain(r, j->error_message);
        if (j->type == JOB_UNMERGE && state != JOB_CANCELLED)
                r->to_unmerge = false;
        if (state == JOB_CANCELLED) {
                r->due = true; /* its turn comes when nobody waits */
                return;
        }
        r->n_yielded = 0;
        arm(r);
}
