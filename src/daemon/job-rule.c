/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"
#include "daemon/identity.h"
#include "shared/clock.h"
#include "shared/format.h"
#include "shared/log.h"
#include "shared/lookup.h"

uint64_t job_process_age_usec(const struct mm_process *p)
{
        uint64_t hz = (uint64_t) sysconf(_SC_CLK_TCK), born = p->start_ticks * 1000000U / hz;

        return clock_usec(CLOCK_BOOTTIME) - MIN(born, clock_usec(CLOCK_BOOTTIME));
}

static uint64_t merged_pages(const struct Manager *m, pid_t pid, uint64_t start_ticks)
{
        const struct registered *ksm = registry_find(&m->registry, pid, start_ticks);
        const struct registered *direct = registry_find(&m->merged, pid, start_ticks);

        return (ksm ? ksm->merging_pages : 0) + (direct ? direct->merging_pages : 0);
}

/* What a turn could change of a process: what is merged, or what would be. */
static uint64_t figure(const struct job *j, const struct job_target *t)
{
        const struct account_process *p;
        uint64_t n = 0;

        if (j->type == JOB_MERGE)
                return merged_pages(j->manager, t->pid, t->start_ticks);
        p = account_find(&j->manager->account, t->pid, t->start_ticks);
        for (size_t i = 0; p && i < p->n_parts; i++)
                n += p->parts[i].figures.n_duplicates;
        return n;
}

/* Processes of one program and domain are each other's likeliest equals. */
static uint64_t family_of(const struct job_target *t)
{
        return hash_text(t->domain_text) ^
               ((uint64_t) t->exe_id.dev * UINT64_C(0x9e3779b97f4a7c15) + t->exe_id.ino);
}

/* Whether the turn is about @s's process, which @decides about. */
static bool is_meant(struct job *j, const struct rule *rule, const struct rule *decides,
                     const struct rule_subject *s)
{
        uint64_t age;

        if (!rule_looks_at(rule, decides, s))
                return false;
        age = job_process_age_usec(s->process);
        if (age < rule->min_age_usec) {
                schedule_born(&j->rule->schedule, clock_usec(CLOCK_MONOTONIC) - age);
                return false;
        }
        return true;
}

static int add_target(struct job *j, const struct rule *rule, const struct rule_subject *s,
                      struct mm_process *p, bool meant)
{
        _cleanup_(freep) char *cgroup = NULL;
        struct worker_other_rules other_rules = {};
        uint64_t size = p->rss_anon_bytes;
        struct job_target *t;
        int r;

        if (meant)
                job_note_other_rules(j, s, &other_rules);
        if (meant && rule->trust == TRUST_CGROUP) {
                r = rule_cgroup_path(rule, s, &cgroup);
                if (r == -ENOMEM)
                        return r;
        }
        r = job_add_target(j, p, s->unit, cgroup, meant);
        if (r < 0)
                return r;
        t = &j->targets[j->n_targets - 1];
        t->shared_cgroup = TAKE_PTR(cgroup);
        t->before = figure(j, t);
        t->other_rules = other_rules;
        t->known = (struct backoff_process) {
                .pid = t->pid,
                .start_ticks = t->start_ticks,
                .family = family_of(t),
                .group = layouts_group_of(&j->manager->layouts, t->pid, t->start_ticks, t->parent),
                .size_bytes = size,
        };
        return 0;
}

static int on_process(void *userdata, struct mm_process *p, const char *unit)
{
        struct job *j = userdata;
        Manager *m = j->manager;
        struct rule_subject s;
        const struct rule *rule = conf_find_rule(&m->conf, j->rule->name), *decides;
        enum exclusion why;
        bool meant;
        int r;

        if (p->kernel_thread)
                return 0;
        r = identities_subject(m->identities, &m->conf, p, unit, &s);
        if (r < 0)
                return r;
        j->waits = j->waits || r > 0;
        decides = rules_for_process(&m->conf, &s);
        if (decides->merge == RULE_MERGE_NEVER && !rule_is_doubtful(decides, &s))
                j->n_never_pages += merged_pages(m, p->pid, p->start_ticks);
        meant = is_meant(j, rule, decides, &s);
        why = manager_exclude(j->manager, p, j->include_private);
        if (why == EXCLUSION_ENDED || why == EXCLUSION_SELF)
                return 0;
        if (meant && why != EXCLUSION_NONE) {
                r = report_count(&j->report.excluded, exclusion_to_string(why), 1);
                if (r < 0)
                        return r;
        }
        /* With KSM it counts who else has registered memory, and that is asked of all. */
        meant = meant && why == EXCLUSION_NONE;
        if (!meant && j->type != JOB_MERGE)
                return 0;
        r = add_target(j, rule, &s, p, meant);
        if (r < 0)
                return r;
        j->targets[j->n_targets - 1].hung = why == EXCLUSION_HUNG;
        return 0;
}

/* Has those looked at that newcomers could gain with. Without memory they wait for their time. */
static void wake(struct job *j)
{
        _cleanup_(freep) struct backoff_process *newcomers = NULL;
        size_t n = 0;

        newcomers = calloc(MAX(j->n_targets, (size_t) 1), sizeof(*newcomers));
        for (size_t i = 0; i < j->n_targets && newcomers; i++)
                if (j->targets[i].selected && !backoff_knows(&j->rule->backoff, &j->targets[i].known))
                        newcomers[n++] = j->targets[i].known;
        (void) backoff_wake(&j->rule->backoff, newcomers, n, j->round);
}

/* Of those that are meant, whose turn it is. False: nobody's. */
static bool choose(struct job *j)
{
        struct backoff *b = &j->rule->backoff;
        bool any = false;

        wake(j);
        j->n_expected_pages = 0;
        for (size_t i = 0; i < j->n_targets; i++) {
                struct job_target *t = &j->targets[i];

                if (!t->selected)
                        continue;
                t->selected = backoff_due(b, &t->known, j->round);
                any = any || t->selected;
                j->n_expected_pages += t->selected ? t->known.size_bytes / MM_PAGE_SIZE : 0;
        }
        backoff_sweep(b);
        return any;
}

/* Said once, and again when it becomes more. */
static void report_never(struct job *j)
{
        struct engine *e = j->manager->engine;

        if (j->n_never_pages > e->n_never_pages)
                log_notice("Processes that are never to be merged have %s merged from before; \"mergememctl "
                           "unmerge\" gives them pages of their own.",
                           FORMAT_BYTES(j->n_never_pages * MM_PAGE_SIZE));
        e->n_never_pages = j->n_never_pages;
}

static void on_listed(struct job *j)
{
        report_never(j);
        if (j->type == JOB_UNMERGE && j->n_targets > 0)
                job_unmerge(j);
        else if (j->type != JOB_UNMERGE && choose(j))
                job_scan(j);
        else
                job_finish(j);
}

static void list(struct job *j)
{
        job_list(j, on_process, on_listed);
}

void job_select_by_rule(struct job *j)
{
        uint64_t now = clock_usec(CLOCK_MONOTONIC);

        j->round = now / j->rule->schedule.interval_usec;
        job_pace(j, 0, list);
}

static bool has_gained(const struct job *j, const struct job_target *t)
{
        uint64_t now = figure(j, t), change = now > t->before ? now - t->before : t->before - now;

        /* An estimate gains nothing but news. */
        return j->type == JOB_MERGE ? now > t->before : change > t->before / 8U;
}

void job_note_gains(struct job *j)
{
        for (size_t i = 0; i < j->n_targets && j->type != JOB_UNMERGE; i++) {
                const struct job_target *t = &j->targets[i];

                if (t->selected)
                        (void) backoff_looked(&j->rule->backoff, &t->known, j->round, has_gained(j, t));
        }
        log_debug("Rule \"%s\": a turn is over; %" PRIu32 " processes were looked at.", j->rule->name,
                  j->report.n_processes);
        if (j->report.n_saved > 0)
                log_info("Rule \"%s\": %" PRIu64 " pages merged, %s saved.", j->rule->name,
                         j->report.n_merged, FORMAT_BYTES(report_saved_bytes(&j->report)));
}
