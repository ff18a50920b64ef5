/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mergemem/rounds.h"

#include <signal.h>

#include "daemon/job.h"
#include "mergemem/statistics.h"
#include "shared/exit.h"
#include "shared/log.h"
#include "shared/names.h"

struct rounds {
        Manager *manager;
        const struct options *options;
        sd_event_source *timer;
        bool stopping;
        uint64_t n_printed;
        int status;
};

static int status_of(const struct rounds *r, const struct job *j)
{
        if (j->state == JOB_FAILED)
                return exit_status_of_error(j->error_name ?: MERGEMEM_ERROR_FAILED);
        return j->state == JOB_DONE ? MERGEMEM_EXIT_DONE : MERGEMEM_EXIT_FAILED;
}

/* A round is over: the next one in its time, or the end. */
static void round_over(struct rounds *r)
{
        uint64_t interval_usec = r->options->interval_usec;
        int k;

        if (!r->stopping && interval_usec > 0) {
                k = sd_event_source_set_time_relative(r->timer, interval_usec);
                if (k >= 0)
                        k = sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
                if (k >= 0)
                        return;
                log_error_errno(k, "Cannot wait: %m");
                r->status = MERGEMEM_EXIT_FAILED;
        }
        (void) sd_event_exit(r->manager->event, 0);
}

static void on_ended(struct job *j, void *userdata)
{
        struct rounds *r = userdata;
        const struct options *o = r->options;

        r->status = status_of(r, j);
        if (j->state == JOB_FAILED)
                log_error("%s", j->error_message ?: "Out of memory.");
        else if (o->log_mask & CONF_LOG_RESULTS) {
                if (r->n_printed++ > 0)
                        putchar('\n');
                if (j->state == JOB_CANCELLED)
                        puts("Interrupted. Until then:");
                statistics_print(stdout, &j->report, o->stacks, j->type == JOB_MERGE);
                r->status = exit_flush_stdout(r->status);
        }
        round_over(r);
}

static int start(struct rounds *r)
{
        const struct options *o = r->options;
        _cleanup_(selector_done) struct selector s = {};
        struct job *j;
        int k;

        k = options_selector(o, &s);
        if (k >= 0)
                k = job_new_alone(r->manager, o->dry_run ? JOB_ESTIMATE : JOB_MERGE, &s, &j);
        if (k < 0)
                return k == -ENOMEM ? log_oom() : k;
        j->ended = on_ended;
        j->userdata = r;
        j->stacks = o->stacks;
        j->one_pass = true;
        manager_dispatch(r->manager);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct rounds *r = userdata;

        if (start(r) < 0) {
                r->status = MERGEMEM_EXIT_FAILED;
                round_over(r);
        }
        return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        struct rounds *r = userdata;

        r->stopping = true;
        /* What it began with processes it winds up, and puts KSM back. */
        if (r->manager->running)
                job_cancel(r->manager->running);
        else
                (void) sd_event_exit(r->manager->event, 0);
        return 0;
}

/* Those that whoever started us has us ignore stay ignored: nohup(1), or in the background of a script. */
static int add_signals(struct rounds *r)
{
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
        sigset_t mask;
        int k = 0;

        (void) sigemptyset(&mask);
        /* How the worker's end is heard of. */
        (void) sigaddset(&mask, SIGCHLD);
        for (size_t i = 0; i < ELEMENTSOF(signals) && k >= 0; i++) {
                struct sigaction action;

                if (sigaction(signals[i], NULL, &action) >= 0 && action.sa_handler == SIG_IGN)
                        continue;
                (void) sigaddset(&mask, signals[i]);
                if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                        return -errno;
                k = sd_event_add_signal(r->manager->event, NULL, signals[i], on_signal, r);
        }
        return k;
}

int rounds_run(Manager *m, const struct options *o)
{
        struct rounds r = { .manager = m, .options = o };
        int k;

        k = add_signals(&r);
        if (k >= 0)
                k = sd_event_add_time_relative(m->event, &r.timer, CLOCK_MONOTONIC, 0, 1, on_timer, &r);
        if (k >= 0)
                k = sd_event_loop(m->event);
        sd_event_source_disable_unref(r.timer);
        if (k < 0) {
                log_error_errno(k, "Cannot go on: %m");
                return MERGEMEM_EXIT_FAILED;
        }
        /* That is how it is meant to end. */
        if (o->interval_usec > 0 && r.stopping)
                return MERGEMEM_EXIT_DONE;
        return r.status;
}
