/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"
#include "shared/names.h"

/* KSM keeps one tree for all, so whoever has registered memory besides us could share with our
 * domain: programs that registered themselves (qemu, prctl), and children that inherited it. */

/* Longer lines of descent are made to keep us busy. */
#define ANCESTORS_MAX 256U

static void census_next(struct job *j);
static void disinherit_next(struct job *j);

static void fail_call(struct job *j, int error)
{
        if (!job_retry(j, error))
                job_fail_errno(j, error, "The worker cannot go on");
}

static void census_done(struct job *j)
{
        const struct job_target *foreign = NULL;
        const char *other;
        size_t n_foreign = 0;

        job_clear_ranges(j);
        (void) registry_save(&j->manager->registry);
        for (size_t i = 0; i < j->n_targets; i++) {
                const struct job_target *t = &j->targets[i];

                if (!t->registered ||
                    (!t->strayed && registry_find(&j->manager->registry, t->pid, t->start_ticks)))
                        continue;
                foreign = foreign ?: t;
                n_foreign++;
        }
        if (j->selector.trust == TRUST_SYSTEM) {
                job_plan(j);
                return;
        }
        /* Known only since just now: children, orphans. */
        other = registry_other_domain(&j->manager->registry, j->report.domains[j->domain].text);
        if (!foreign && other) {
                job_domain_busy(j,
                                "Children of processes that were merged before, of another trust domain, "
                                "%s, still have memory registered with KSM, which keeps no domains apart; "
                                "unmerge that first, or merge with trust \"system\".",
                                other);
                return;
        }
        if (!foreign) {
                job_plan(j);
                return;
        }
        job_domain_busy(j,
                        "%zu process%s registered memory with KSM by %s (process %d, %s), and KSM keeps no "
                        "trust domains apart; trust \"system\" merges nevertheless.",
                        n_foreign, n_foreign == 1 ? "" : "es", n_foreign == 1 ? "itself" : "themselves",
                        foreign->pid, foreign->exe ?: "unknown program");
}

/* The answer about the process at hand. One of which it cannot be told counts as registered. */
static void on_census(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        const struct worker_ksm_row *k = &row->ksm_row;

        if (row->header.type == WORKER_ROW_KSM)
                j->busy->registered = k->error < 0 ? k->error != -ESRCH : k->mergeable != 0;
}

static void on_disinherited(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        const struct worker_advised *a = &row->advised;
        struct job_ranges *of = &j->ranges[j->next];
        struct registered *g = registry_find(&j->manager->registry, j->busy->pid, j->busy->start_ticks);
        struct worker_range *left;
        size_t n_left;

        if (row->header.type != WORKER_ROW_ADVISED)
                return;
        j->report.stop_usec = MAX(j->report.stop_usec, a->stop_usec);
        if (ranges_subtract(of->ranges, of->n, a->ranges, a->n, &left, &n_left) < 0)
                return;
        j->ranges_done += a->n;
        free(of->ranges);
        of->ranges = left;
        of->n = n_left;
        if (g)
                (void) registry_remove(&j->manager->registry, g, a->ranges, a->n);
}

static void on_disinherit_checked(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        j->next++;
        disinherit_next(j);
}

static void on_disinherit_done(void *userdata, int error)
{
        struct job *j = userdata;
        union worker_packet p;
        int r;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        /* Many ranges take several turns, each of which must have got somewhere. */
        if (j->ranges_done > 0 && j->ranges[j->next].n > 0) {
                disinherit_next(j);
                return;
        }
        /* It may have more than what it got from us. */
        worker_packet_init(&p, WORKER_CENSUS, sizeof(p.header));
        r = job_call_target(j, &j->targets[j->ranges[j->next].target], &p, on_census,
                            on_disinherit_checked);
        if (r < 0)
                fail_call(j, r);
}

/* What went to another domain with its process, by fork or by a change of user, is given back. */
static void disinherit_next(struct job *j)
{
        const struct job_ranges *of;
        struct job_target *t;
        union worker_packet p;
        size_t n;
        int r;

        if (j->next >= j->n_ranges) {
                census_done(j);
                return;
        }
        of = &j->ranges[j->next];
        t = &j->targets[of->target];
        n = MIN(of->n, (size_t) WORKER_RANGES_MAX);
        j->ranges_done = 0;
        worker_packet_init(&p, WORKER_UNREGISTER, sizeof(p.ranges));
        p.ranges.index = of->target;
        p.ranges.pid = t->pid;
        p.ranges.start_ticks = t->start_ticks;
        p.ranges.n = (uint32_t) n;
        memcpy(p.ranges.ranges, of->ranges, n * sizeof(*of->ranges));
        p.header.size += (uint32_t) (n * sizeof(*of->ranges));
        r = job_call_target(j, t, &p, on_disinherited, on_disinherit_done);
        if (r < 0)
                fail_call(j, r);
}

static int compare_pids(const void *a, const void *b)
{
        const struct job_target *const *x = a, *const *y = b;

        return (*x)->pid < (*y)->pid ? -1 : (*x)->pid > (*y)->pid;
}

static const struct job_target *find_target(const struct job_target **by_pid, size_t n, pid_t pid)
{
        const struct job_target wanted = { .pid = pid }, *key = &wanted, **found;

        found = bsearch(&key, by_pid, n, sizeof(struct job_target *), compare_pids);
        return found ? *found : NULL;
}

/* The nearest ancestor that we have registered. */
static const struct registered *find_ancestor(const struct job *j, const struct job_target **by_pid,
                                              const struct job_target *t)
{
        for (size_t depth = 0; t && depth < ANCESTORS_MAX; depth++) {
                const struct registered *g = registry_find_before(&j->manager->registry, t->parent,
                                                                  t->start_ticks);

                if (g)
                        return g;
                t = find_target(by_pid, j->n_targets, t->parent);
        }
        return NULL;
}

/* Children of the same domain become ours like their parents; others, and whoever has left the domain
 * that he was registered for, are put on the list of those that lose what they got. */
static int sort_out(struct job *j)
{
        struct registry *registry = &j->manager->registry;
        _cleanup_(freep) const struct job_target **by_pid = NULL;

        by_pid = calloc(MAX(j->n_targets, (size_t) 1), sizeof(struct job_target *));
        if (!by_pid)
                return -ENOMEM;
        for (size_t i = 0; i < j->n_targets; i++)
                by_pid[i] = &j->targets[i];
        qsort(by_pid, j->n_targets, sizeof(struct job_target *), compare_pids);

        for (size_t i = 0; i < j->n_targets; i++) {
                struct job_target *t = &j->targets[i];
                const struct registered *own, *from;
                const char *domain;
                int r = 0;

                if (!t->registered)
                        continue;
                own = registry_find(registry, t->pid, t->start_ticks);
                from = own ?: find_ancestor(j, by_pid, t);
                if (!from)
                        continue;
                domain = from->domain;
                t->strayed = !streq(domain, t->domain_text) &&
                             (!t->user_domain || !streq(domain, t->user_domain));
                if (t->strayed && j->selector.trust == TRUST_SYSTEM) {
                        t->strayed = false;
                        domain = t->domain_text;
                }
                if (t->strayed)
                        r = job_ranges_append(j, (uint32_t) i, from->ranges, from->n_ranges, 0);
                else if (!own)
                        r = registry_add(registry, t->pid, t->start_ticks, t->dir_fd, t->pid_fd, domain,
                                         from->ranges, from->n_ranges);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Whether what @t may have registered is of no interest: its pages may meet those of the job anyway. */
static bool may_meet(const struct job *j, const struct job_target *t)
{
        return j->selector.trust == TRUST_SYSTEM || streq(t->domain_text, j->report.domains[j->domain].text);
}

static void on_census_done(void *userdata, int error)
{
        struct job *j = userdata;

        if (error == -ETIMEDOUT && !may_meet(j, j->busy)) {
                /* Whoever keeps it a secret is not taken for one who has none. */
                manager_mark_hung(j->manager, j->busy->pid, j->busy->start_ticks);
                job_domain_busy(j,
                                "Process %d (%s) does not let it be known whether it has memory registered "
                                "with KSM, which keeps no trust domains apart; trust \"system\" merges "
                                "nevertheless.",
                                j->busy->pid, j->busy->exe ?: "unknown program");
                return;
        }
        if (error < 0) {
                fail_call(j, error);
                return;
        }
        j->next++;
        census_next(j);
}

static void adopted(struct job *j)
{
        int r = sort_out(j);

        if (r < 0) {
                job_fail_errno(j, r, "Cannot take over the children of registered processes");
                return;
        }
        j->next = 0;
        disinherit_next(j);
}

static void census_next(struct job *j)
{
        union worker_packet p;
        int r;

        while (j->next < j->n_targets && j->targets[j->next].hung && may_meet(j, &j->targets[j->next]))
                j->next++;
        if (j->next < j->n_targets) {
                worker_packet_init(&p, WORKER_CENSUS, sizeof(p.header));
                r = job_call_target(j, &j->targets[j->next], &p, on_census, on_census_done);
                if (r < 0)
                        fail_call(j, r);
                return;
        }
        job_adopt(j, adopted);
}

void job_census(struct job *j)
{
        j->next = 0;
        census_next(j);
}
