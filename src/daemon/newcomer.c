/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/identity.h"
#include "daemon/job.h"
#include "shared/log.h"

/* Until then a launcher has become its program, by which rules may go. */
#define SETTLE_USEC (1000U * 1000U)

/* About 100 us each, as in a pass over all processes. */
#define SLICE_NEWCOMERS 32U

/* What a rule asks of a process is asked for at the first, or the second if it is too early, and known at
 * the next. */
#define TRIES_MAX 3U

void newcomers_done(struct newcomers *n)
{
        n->timer = sd_event_source_disable_unref(n->timer);
        n->n = 0;
}

/* 1: it is to be tried again. */
static int expect(Manager *m, struct newcomer *n)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        _cleanup_(freep) char *unit = NULL;
        struct rule_subject s;
        uint64_t now, age;
        int r;

        r = mm_process_open(m->proc_fd, n->pid, false, &p);
        if (r < 0 || p.start_ticks != n->start_ticks)
                return 0;
        if (p.cgroup && mm_cgroup_unit(p.cgroup, &unit) == -ENOMEM)
                return -ENOMEM;
        r = identities_subject(m->identities, &m->conf, &p, unit, &s);
        if (r < 0)
                return r;
        age = job_process_age_usec(&p);
        if ((r > 0 || age < SETTLE_USEC) && ++n->n_tries < TRIES_MAX)
                return 1;
        r = sd_event_now(m->event, CLOCK_MONOTONIC, &now);
        if (r < 0)
                return r;
        engine_expect(m->engine, &s, rules_for_process(&m->conf, &s), now - MIN(age, now));
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        struct newcomers *all = &m->newcomers;
        size_t n_done = MIN(all->n, (size_t) SLICE_NEWCOMERS), n_again = 0;
        struct newcomer again[SLICE_NEWCOMERS];

        for (size_t i = 0; i < n_done; i++) {
                int r = expect(m, &all->items[i]);

                if (r < 0)
                        log_debug_errno(r, "Process %d, which has a layout, is not expected: %m",
                                        all->items[i].pid);
                else if (r > 0)
                        again[n_again++] = all->items[i];
        }
        all->n -= n_done;
        memmove(all->items, all->items + n_done, all->n * sizeof(*all->items));
        memcpy(all->items + all->n, again, n_again * sizeof(*again));
        all->n += n_again;
        if (all->n == 0)
                return 0;
        (void) sd_event_source_set_time_relative(source, all->n > n_again ? 0 : SETTLE_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int arm(Manager *m)
{
        struct newcomers *all = &m->newcomers;
        int r;

        if (!all->timer)
                return sd_event_add_time_relative(m->event, &all->timer, CLOCK_MONOTONIC, SETTLE_USEC,
                                                  SETTLE_USEC / 4U, on_timer, m);
        r = sd_event_source_set_time_relative(all->timer, SETTLE_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(all->timer, SD_EVENT_ONESHOT);
}

void newcomer_add(Manager *m, pid_t pid, uint64_t start_ticks)
{
        struct newcomers *all = &m->newcomers;
        int r = 0;

        if (!m->conf.automatic || all->n == NEWCOMERS_MAX)
                return;
        if (all->n == 0)
                r = arm(m);
        if (r < 0) {
                log_debug_errno(r, "Process %d, which has a layout, is not expected: %m", pid);
                return;
        }
        all->items[all->n++] = (struct newcomer) { .pid = pid, .start_ticks = start_ticks };
}
