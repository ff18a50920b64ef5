/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"
#include "shared/names.h"

/* KSM keeps one tree for all, so whoever has registered memory besides us could share with our
 * domain: programs that registered themselves (qemu, prctl), and children that inherited it. */

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
        size_t n_foreign = 0;

        job_clear_ranges(j);
        for (size_t i = 0; i < j->n_targets; i++) {
                const struct job_target *t = &j->targets[i];

                if (!t->registered || registry_find(&j->manager->registry, t->pid, t->start_ticks))
                        continue;
                foreign = foreign ?: t;
                n_foreign++;
        }
        if (!foreign || j->selector.trust == TRUST_SYSTEM) {
                job_plan(j);
                return;
        }
        job_fail(j, MERGEMEM_ERROR_DOMAIN_BUSY,
                 "%zu process%s registered memory with KSM by %s (process %d, %s), and KSM keeps no trust "
                 "domains apart; trust \"system\" merges nevertheless.",
                 n_foreign, n_foreign == 1 ? "" : "es", n_foreign == 1 ? "itself" : "themselves",
                 foreign->pid, foreign->exe ?: "unknown program");
}

static void on_disinherited(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;

        if (row->header.type == WORKER_ROW_ADVISED && row->advised.result == 0)
                j->targets[j->ranges[j->next].target].registered = false;
}

static void on_disinherit_done(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                fail_call(j, error);
                return;
        }
        j->next++;
        disinherit_next(j);
}

/* A child of a registered process that is of another domain now: what it inherited goes. */
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

static const struct registered *find_parent(const struct registry *r, const struct job_target *t)
{
        for (size_t i = 0; i < r->n_items; i++)
                if (r->items[i]->pid == t->parent && r->items[i]->start_ticks <= t->start_ticks)
                        return r->items[i];
        return NULL;
}

/* Children of the same domain become ours like their parents; others are put on the list of those
 * that lose what they inherited. */
static int adopt_children(struct job *j)
{
        struct registry *registry = &j->manager->registry;

        for (size_t i = 0; i < j->n_targets; i++) {
                struct job_target *t = &j->targets[i];
                const struct registered *parent;
                int r;

                if (!t->registered || registry_find(registry, t->pid, t->start_ticks))
                        continue;
                parent = find_parent(registry, t);
                if (!parent)
                        continue;
                if (streq(parent->domain, t->domain_text))
                        r = registry_add(registry, t->pid, t->start_ticks, t->dir_fd, t->pid_fd,
                                         parent->domain, parent->ranges, parent->n_ranges);
                else
                        r = job_ranges_append(j, (uint32_t) i, parent->ranges, parent->n_ranges, 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void on_census(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        const struct worker_ksm_row *k = &row->ksm_row;

        /* Kernels before 6.16 do not say it, but once ksmd came by it shows. */
        if (row->header.type == WORKER_ROW_KSM && k->error >= 0)
                j->targets[j->next].registered =
                        k->mergeable > 0 ||
                        (k->mergeable < 0 && (k->rmap_items > 0 || k->merging_pages > 0));
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

        while (j->next < j->n_targets && j->targets[j->next].hung)
                j->next++;
        if (j->next < j->n_targets) {
                worker_packet_init(&p, WORKER_CENSUS, sizeof(p.header));
                r = job_call_target(j, &j->targets[j->next], &p, on_census, on_census_done);
                if (r < 0)
                        fail_call(j, r);
                return;
        }
        r = adopt_children(j);
        if (r < 0) {
                job_fail_errno(j, r, "Cannot take over the children of registered processes");
                return;
        }
        j->next = 0;
        disinherit_next(j);
}

void job_census(struct job *j)
{
        j->next = 0;
        census_next(j);
}
