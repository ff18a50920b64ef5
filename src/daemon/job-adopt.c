/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"

/* Children inherit over fork what their parents have registered. Of those whose parents are not with us
 * any more only the areas tell where they got theirs. */

static void next(struct job *j);

static void on_areas(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        const struct worker_ranges *areas = &row->ranges;
        struct worker_range *ranges;

        if (row->header.type != WORKER_ROW_AREAS)
                return;
        ranges = reallocarray(j->adopt.ranges, j->adopt.n + areas->n, sizeof(*ranges));
        if (!ranges) {
                j->adopt.incomplete = true;
                return;
        }
        memcpy(ranges + j->adopt.n, areas->ranges, areas->n * sizeof(*ranges));
        j->adopt.ranges = ranges;
        j->adopt.n += areas->n;
}

/* Whether @t may be the fork of another process that went on in the same program: its parent is that, or
 * has ended and left it to whoever takes in orphans, the first process or a user's service manager. Two
 * that merely have the same layout are both children of something else. */
static bool is_fork(const struct job *j, const struct job_target *t)
{
        _cleanup_(mm_process_done) struct mm_process parent = MM_PROCESS_NULL, init = MM_PROCESS_NULL;
        int proc_fd = j->manager->proc_fd;

        if (t->parent <= 1 || mm_process_open(proc_fd, t->parent, false, &parent) < 0)
                return true;
        if (!mm_file_id_known(&parent.exe_id))
                return false;
        if (mm_file_id_equal(&parent.exe_id, &t->exe_id))
                return true;
        return mm_process_open(proc_fd, 1, false, &init) >= 0 &&
               mm_file_id_equal(&parent.exe_id, &init.exe_id);
}

/* The domain that @t inherited its registration for, or NULL. */
static const char *explain(const struct job *j, const struct job_target *t)
{
        const struct registry *r = &j->manager->registry;

        if (j->adopt.incomplete || j->adopt.n == 0 || !is_fork(j, t))
                return NULL;
        if (registry_explains(r, t->domain_text, t->start_ticks, j->adopt.ranges, j->adopt.n))
                return t->domain_text;
        if (t->user_domain &&
            registry_explains(r, t->user_domain, t->start_ticks, j->adopt.ranges, j->adopt.n))
                return t->user_domain;
        return NULL;
}

static void on_areas_done(void *userdata, int error)
{
        struct job *j = userdata;
        struct job_target *t = &j->targets[j->next];
        const char *domain;
        int r;

        if (error == -ETIMEDOUT || error == -EPIPE) {
                if (job_retry(j, error))
                        return;
                /* An unmerge needs nothing of what the last worker knew. */
                j->generation = worker_generation(j->manager->worker);
                t->hung = error == -ETIMEDOUT;
                if (t->hung)
                        manager_mark_hung(j->manager, t->pid, t->start_ticks);
        }
        domain = error < 0 ? NULL : explain(j, t);
        if (domain) {
                r = registry_add(&j->manager->registry, t->pid, t->start_ticks, t->dir_fd, t->pid_fd, domain,
                                 j->adopt.ranges, j->adopt.n);
                if (r < 0) {
                        job_fail_errno(j, r, "Cannot take over the children of registered processes");
                        return;
                }
        }
        j->next++;
        next(j);
}

static bool is_doubtful(const struct job *j, const struct job_target *t)
{
        /* A merge has asked already who has registered memory at all, and knows the living parents. */
        if (j->type == JOB_MERGE && !t->registered)
                return false;
        return !t->hung && !registry_find(&j->manager->registry, t->pid, t->start_ticks);
}

static void next(struct job *j)
{
        const struct registry *registry = &j->manager->registry;
        union worker_packet p;
        int r;

        while (j->next < j->n_targets && !is_doubtful(j, &j->targets[j->next]))
                j->next++;
        if (j->next >= j->n_targets || registry->n_items + registry->n_former == 0) {
                j->adopt.then(j);
                return;
        }
        free(TAKE_PTR(j->adopt.ranges));
        j->adopt.n = 0;
        j->adopt.incomplete = false;
        worker_packet_init(&p, WORKER_AREAS, sizeof(p.header));
        r = job_call_target(j, &j->targets[j->next], &p, on_areas, on_areas_done);
        if (r < 0 && !job_retry(j, r))
                job_fail_errno(j, r, "Cannot call the worker");
}

void job_adopt(struct job *j, void (*then)(struct job *j))
{
        j->next = 0;
        j->adopt.then = then;
        next(j);
}
