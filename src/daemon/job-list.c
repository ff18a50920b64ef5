/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/identity.h"
#include "daemon/job.h"

/* The pass over all processes that a job begins with. What rules ask of some process may not be known yet
 * when it is met: then all is forgotten, and the pass is made once more when it is. So it is if the
 * configuration has changed meanwhile: all processes are judged by one. */

static void pass(struct job *j);

/* What the worker could not find out stays unknown. */
static void on_names_known(void *userdata, int error)
{
        pass(userdata);
}

static void on_done(void *userdata, int error)
{
        struct job *j = userdata;
        Manager *m = j->manager;

        j->list = NULL;
        if (error < 0) {
                job_fail_errno(j, error, "Cannot read the list of processes");
                return;
        }
        account_pass_end(&m->account, j->pass);
        if (j->conf_generation != m->conf_generation) {
                j->listed_again = false;
                pass(j);
                return;
        }
        if (j->waits && !j->listed_again) {
                j->listed_again = true;
                error = identities_wait(m->identities, on_names_known, j);
                if (error < 0)
                        job_fail_errno(j, error, "Cannot call the worker");
                return;
        }
        error = job_copy_other_rules(j);
        if (error < 0) {
                job_fail_errno(j, error, "Cannot keep the rules about libraries");
                return;
        }
        j->listed(j);
}

static int on_process(void *userdata, struct mm_process *p, const char *unit)
{
        struct job *j = userdata;

        account_seen(&j->manager->account, p->pid, p->start_ticks);
        if (p->kernel_thread && streq(p->comm, "ksmd"))
                j->manager->ksmd_pid = p->pid;
        return j->meet(j, p, unit);
}

static void pass(struct job *j)
{
        Manager *m = j->manager;
        int r;

        job_clear_targets(j);
        report_done(&j->report);
        j->n_expected_pages = 0;
        j->n_never_pages = 0;
        j->conf_generation = m->conf_generation;
        j->pass = account_pass_begin(&m->account);
        r = process_list_new(m->event, m->proc_fd, on_process, on_done, j, &j->list);
        if (r < 0)
                job_fail_errno(j, r, "Cannot read the list of processes");
}

void job_list(struct job *j, process_list_each_t meet, void (*then)(struct job *j))
{
        j->meet = meet;
        j->listed = then;
        pass(j);
}
