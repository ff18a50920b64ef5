/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "daemon/backoff.h"
#include "daemon/budget.h"
#include "daemon/erosion.h"
#include "daemon/rules.h"
#include "daemon/schedule.h"

/* Works on the rules without being asked: a timer for each, a job for each turn, at a pace that keeps the
 * budget. Jobs that somebody asked for go first. */

typedef struct Manager Manager;
struct job;

/* What is kept of a rule while it is in force. */
struct engine_rule {
        Manager *manager;
        char name[RULE_NAME_MAX + 1];
        unsigned cpu_quota_percent; /* 0: none of its own */
        struct schedule schedule;
        struct budget budget;
        struct backoff backoff;
        struct erosion erosion;
        enum rule_on_erosion on_erosion;
        bool to_unmerge; /* its next turn gives back what is merged */
        sd_event_source *timer;
        bool due;
        unsigned n_yielded; /* how often its turn had to make way for users, since it was done last */
        char *complaint; /* the last one, so that it is not made at every turn */
};

struct engine {
        Manager *manager;
        struct engine_rule **rules;
        size_t n_rules;
        struct budget budget;
        uint64_t charged_nsec; /* CPU time that the budgets know of */
        sd_event_source *pressure_source;
        sd_event_source *yield_source; /* who waits for a turn has waited long enough */
        uint64_t memory_short_until_usec; /* as the kernel has reported */
        struct conditions conditions;
        uint64_t conditions_usec; /* when they were looked at */
        int sys_fd;
        uint64_t n_never_pages; /* merged, of processes that no rule lets be looked at any more */
};

int engine_new(Manager *m, struct engine **ret);
struct engine *engine_free(struct engine *e);
DEFINE_CLEANUP_FUNC(struct engine *, engine_free)

/* Takes the rules of the manager's configuration over; what is known of those that stay is kept. 0 or
 * -errno: then nothing is worked on. */
int engine_reload(struct engine *e);

/* There is a process, born then (CLOCK_MONOTONIC), that rules which look at it are to find as soon as it is
 * old enough; @decides: see rule_looks_at(). */
void engine_expect(struct engine *e, const struct rule_subject *s, const struct rule *decides,
                   uint64_t born_usec);

/* Starts the turn of the rule that is due, if no job runs. */
void engine_dispatch(struct engine *e);

/* Somebody waits: @j, of a rule, ends, or is done without sparing; at once for root, else when it has had
 * some time. */
void engine_make_way(struct job *j, bool for_root);

/* A user's job is next: whether the turn of a rule that is due comes before it, for it has let one pass. */
bool engine_goes_first(struct engine *e);

/* erosion-judge.c: what is merged was counted anew; rules that do not pay rest from now on. */
void engine_judge(struct engine *e);

/* pace.c: how the machine fares; what was spent until now goes to the budgets. */
const struct conditions *engine_conditions(struct engine *e, uint64_t now_usec);
void engine_charge(struct engine *e, uint64_t now_usec);
