/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "daemon/available.h"
#include "daemon/job.h"
#include "lib/device.h"
#include "lib/inject.h"
#include "shared/format.h"
#include "shared/names.h"

/* ksmd forgets the pages it kept track of, 64 bytes each, when it comes by: the pass under way and
 * one more. */
#define KSM_PASSES 2U

/* What is left alone of the memory that remains, so that giving pages back ends before reclaim does. */
#define RESERVE_BYTES (16U * 1024U * 1024U)

#define PROGRESS_UNREGISTERED 0.9

static void next(struct job *j);

static struct registry *registry_of(struct job *j, const struct job_ranges *of)
{
        return of->direct ? &j->manager->merged : &j->manager->registry;
}

static struct registered *find_registered(struct job *j, const struct job_ranges *of)
{
        const struct job_target *t = &j->targets[of->target];

        return registry_find(registry_of(j, of), t->pid, t->start_ticks);
}

/* Why mergemod could not give something back. */
static const char *unmerge_problem(int error)
{
        return error == -ENOMEM ? "memory ran out"
                                : mm_device_problem(error) ?: mm_device_status_text(error);
}

static void save(struct job *j)
{
        (void) registry_save(&j->manager->registry);
        (void) registry_save(&j->manager->merged);
}

static void on_advised(void *userdata, const union worker_packet *row)
{
        struct job *j = userdata;
        const struct worker_advised *a = &row->advised;
        struct registered *g = find_registered(j, &j->ranges[j->next]);

        if (row->header.type != WORKER_ROW_ADVISED)
                return;
        j->report.stop_usec = MAX(j->report.stop_usec, a->stop_usec);
        for (uint32_t i = 0; i < a->n; i++)
                j->ranges_done += a->ranges[i].end - a->ranges[i].start;
        if (j->ranges[j->next].direct && a->error < 0)
                (void) report_count(&j->report.skipped, unmerge_problem(a->error), 1);
        else if (a->result != MM_INJECT_OK)
                (void) report_count(&j->report.skipped, mm_inject_result_name(a->result), 1);
        else if (j->ranges_done == 0)
                (void) report_count(&j->report.skipped, "memory ran out", 1);
        /* It became another program: the memory is gone, and what was merged in it too. */
        if (g && j->ranges[j->next].direct && a->error == -ESRCH) {
                registry_drop(&j->manager->merged, g);
                j->ranges[j->next].n_pages = 0;
                return;
        }
        if (g && a->n > 0) {
                struct registry *registry = registry_of(j, &j->ranges[j->next]);

                /* Its children still have what they inherited. */
                registry_remember(registry, g->domain, g->since_ticks, registry_now_ticks(), a->ranges,
                                  a->n);
                (void) registry_remove(registry, g, a->ranges, a->n);
        }
}

static void on_advise_done(void *userdata, int error)
{
        struct job *j = userdata;
        const struct job_ranges *current = &j->ranges[j->next];

        if (error == -ETIMEDOUT) {
                /* Its successor knows no more of this one than we do. */
                j->generation = worker_generation(j->manager->worker);
                (void) report_count(&j->report.skipped, exclusion_to_string(EXCLUSION_HUNG), 1);
                j->ranges_done = 0;
        } else if (error < 0) {
                save(j);
                job_fail_errno(j, error, "The worker cannot go on");
                return;
        }
        if (!find_registered(j, current))
                j->report.n_unmerged += current->n_pages;
        /* Large areas take several turns, each of which must have got somewhere. */
        if (!find_registered(j, current) || j->ranges_done == 0)
                j->next++;
        next(j);
}

static void finish(struct job *j)
{
        manager_refresh(j->manager);
        job_finish(j);
}

static bool with_ksm(const struct job *j)
{
        for (size_t i = 0; i < j->n_ranges; i++)
                if (!j->ranges[i].direct)
                        return true;
        return false;
}

static int open_cgroups(void)
{
        return open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* What the machine and the process's cgroup have left, bytes. */
static uint64_t memory_left(struct job *j, const struct job_target *t)
{
        _cleanup_(closep) int root_fd = open_cgroups();
        uint64_t machine = UINT64_MAX, cgroup = UINT64_MAX;

        (void) memory_available(j->manager->proc_fd, &machine);
        if (root_fd >= 0 && t->cgroup)
                (void) memory_cgroup_available(root_fd, t->cgroup, &cgroup);
        return MIN(machine, cgroup);
}

static void fail_memory(struct job *j, uint64_t needed, uint64_t left, const char *cgroup)
{
        job_fail(j, MERGEMEM_ERROR_NO_MEMORY,
                 "Unmerging takes up to %s, and %s are available%s%s; "
                 "force goes ahead as far as that lasts.",
                 FORMAT_BYTES(needed), FORMAT_BYTES(left), cgroup ? " in the cgroup " : "", cgroup ?: "");
}

/* Whether all can be given back. False: the job has failed. */
static bool memory_suffices(struct job *j)
{
        _cleanup_(closep) int root_fd = open_cgroups();
        _cleanup_(freep) struct memory_need *needs = NULL;
        struct memory_shortage shortage;
        uint64_t all = 0, left;
        int r;

        needs = calloc(j->n_ranges, sizeof(*needs));
        if (!needs) {
                job_fail_errno(j, -ENOMEM, "Cannot plan");
                return false;
        }
        for (size_t i = 0; i < j->n_ranges; i++) {
                needs[i] = (struct memory_need) {
                        .cgroup = j->targets[j->ranges[i].target].cgroup,
                        .bytes = j->ranges[i].n_pages * MM_PAGE_SIZE,
                };
                all += needs[i].bytes;
        }
        if (memory_available(j->manager->proc_fd, &left) >= 0 && all > left) {
                fail_memory(j, all, left, NULL);
                return false;
        }
        if (root_fd < 0)
                return true;
        r = memory_cgroup_shortage(root_fd, needs, j->n_ranges, &shortage);
        if (r > 0) {
                fail_memory(j, shortage.needed, shortage.left, shortage.cgroup);
                free(shortage.cgroup);
        } else if (r < 0)
                job_fail_errno(j, r, "Cannot find out how much memory there is");
        return r == 0;
}

/* Puts as much of what @g has registered into the call as @budget bytes allow; returns how much. */
static uint64_t take_ranges(const struct registered *g, uint64_t budget, union worker_packet *p)
{
        uint64_t taken = 0;
        uint32_t n = 0;

        budget -= budget % MM_PAGE_SIZE;
        for (; n < g->n_ranges && n < WORKER_RANGES_MAX && taken < budget; n++) {
                struct worker_range *range = &p->ranges.ranges[n];

                *range = g->ranges[n];
                range->end = MIN(range->end, range->start + (budget - taken));
                taken += range->end - range->start;
        }
        p->ranges.n = n;
        p->header.size += (uint32_t) (n * sizeof(*g->ranges));
        return taken;
}

static void next(struct job *j)
{
        for (; j->next < j->n_ranges && !j->cancelled; j->next++) {
                const struct job_ranges *current = &j->ranges[j->next];
                const struct job_target *t = &j->targets[current->target];
                struct registered *g = find_registered(j, current);
                union worker_packet p;
                uint64_t left;
                int r;

                if (!g)
                        continue;
                worker_packet_init(&p, current->direct ? WORKER_UNMERGE : WORKER_UNREGISTER,
                                   sizeof(p.ranges));
                p.ranges.index = current->target;
                p.ranges.pid = t->pid;
                p.ranges.start_ticks = t->start_ticks;
                left = memory_left(j, t);
                if (take_ranges(g, left - MIN(left, (uint64_t) RESERVE_BYTES), &p) == 0) {
                        (void) report_count(&j->report.skipped, "memory ran out", 1);
                        continue;
                }
                j->ranges_done = 0;
                job_set_progress(j, PROGRESS_UNREGISTERED * (double) j->next / (double) j->n_ranges);
                r = job_call(j, &p, t->dir_fd, on_advised, on_advise_done);
                if (r < 0)
                        job_fail_errno(j, r, "Cannot call the worker");
                return;
        }
        /* Once for all: until then the file names too much, which a later unmerge finds to be done. */
        save(j);
        if (with_ksm(j))
                job_ksm_run(j, KSM_PASSES, finish);
        else
                finish(j);
}

static void on_all_counted(void *userdata, int error)
{
        struct job *j = userdata;

        for (size_t i = 0; i < j->n_ranges; i++) {
                const struct registered *g = find_registered(j, &j->ranges[i]);

                j->ranges[i].n_pages = g ? g->merging_pages : 0;
        }
        /* Whoever held the worker up at that has cost it its life, and it knew nothing of this job. */
        j->generation = worker_generation(j->manager->worker);
        if (!j->selector.force && !memory_suffices(j))
                return;
        job_accept(j);
        job_set_state(j, JOB_MERGING);
        j->next = 0;
        next(j);
}

static void on_counted(void *userdata, int error)
{
        struct job *j = userdata;

        job_count(j, &j->manager->merged, on_all_counted);
}

/* 1 if there is something to give back, 0, -ENOMEM. */
static int plan_target(struct job *j, uint32_t target, bool direct)
{
        int r;

        r = job_ranges_append(j, target, NULL, 0, 0);
        if (r < 0)
                return r;
        j->ranges[j->n_ranges - 1].direct = direct;
        if (find_registered(j, &j->ranges[j->n_ranges - 1]))
                return 1;
        free(j->ranges[--j->n_ranges].ranges);
        return 0;
}

static void plan(struct job *j)
{
        for (size_t i = 0; i < j->n_targets; i++) {
                int ksm, direct = 0;

                ksm = plan_target(j, (uint32_t) i, false);
                if (ksm >= 0)
                        direct = plan_target(j, (uint32_t) i, true);
                if (ksm < 0 || direct < 0) {
                        job_fail_errno(j, -ENOMEM, "Cannot plan");
                        return;
                }
                j->report.n_processes += ksm || direct;
        }
        if (j->n_ranges == 0) {
                job_fail(j, MERGEMEM_ERROR_NOTHING_MATCHES,
                         "None of these processes has memory that mergemem merged or registered.");
                return;
        }
        /* How much memory it takes depends on what is merged now. */
        job_count(j, &j->manager->registry, on_counted);
}

void job_unmerge(struct job *j)
{
        j->generation = worker_generation(j->manager->worker);
        job_adopt(j, plan);
}
