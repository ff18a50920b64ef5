/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mergemem/alone.h"

#include <signal.h>

#include "daemon/runtime.h"
#include "lib/procfs.h"
#include "shared/log.h"

/* "mergememd (process 123)" */
static char *name_holder(const struct runtime_holder *h)
{
        char *text;

        if (h->pid == 0)
                return strdup("Another program that merges memory");
        return asprintf(&text, "%s (process %d)", h->name, h->pid) < 0 ? NULL : text;
}

/* The service is left alone like ourselves. Whoever had the directory last may be gone. */
static void find_service(Manager *m)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        struct runtime_holder holder;

        if (runtime_last_holder(RUNTIME_DIRECTORY, &holder) > 0 &&
            mm_process_open(m->proc_fd, holder.pid, false, &p) >= 0 && streq(p.comm, holder.name))
                m->service_pid = holder.pid;
}

/* Beside whoever has KSM, only what does without it. */
static int leave_ksm(Manager *m, const struct runtime_holder *holder)
{
        _cleanup_(freep) char *who = name_holder(holder), *reason = NULL;

        if (!who || asprintf(&reason, "%s is running and has it to itself", who) < 0)
                return log_oom();
        if (m->mechanism == MECHANISM_KSM)
                return log_error_errno(-EBUSY, "%s is running and has KSM to itself: %sstop it first.", who,
                                       streq(holder->name, "mergememd") ? "use mergememctl(1), or " : "");
        return manager_rule_out(m, MECHANISM_KSM, reason);
}

static int check_mechanism(const Manager *m)
{
        if (m->mechanism != MECHANISM_OBSERVE)
                return 0;
        if (m->conf.mechanism == MECHANISM_OBSERVE)
                return log_error_errno(-EOPNOTSUPP,
                                       "Nothing is merged, since Mechanism=observe is configured; --dry-run "
                                       "shows what could be.");
        return log_error_errno(-EOPNOTSUPP,
                               "Nothing can be merged here (%s); --dry-run shows what could be.",
                               m->mechanism_reason);
}

static int start_merging(Manager *m, const struct options *o)
{
        struct runtime_holder holder;
        int r, k;

        r = runtime_open(RUNTIME_DIRECTORY, o->name, &m->state_fd, &m->lock_fd, &holder);
        if (r < 0 && r != -EWOULDBLOCK)
                return r;
        k = manager_open_kernel(m);
        if (k >= 0)
                k = check_mechanism(m);
        if (k >= 0 && r == -EWOULDBLOCK)
                k = leave_ksm(m, &holder);
        return k;
}

int alone_start(Manager *m, const struct options *o)
{
        int r;

        /* Messages of jobs are notes on what goes on; without any of them only what went wrong is said. */
        log_set_level((o->log_mask & ~CONF_LOG_RESULTS) != 0 ? LOG_INFO : LOG_NOTICE);
        m->conf_path = o->config;
        conf_done(&m->conf);
        r = manager_load_conf(m, NULL, &m->conf);
        if (r < 0)
                return r;
        m->conf.log_mask = o->log_mask;
        r = o->dry_run ? manager_open_kernel(m) : start_merging(m, o);
        if (r < 0)
                return r;
        find_service(m);
        return manager_start_worker(m);
}
