/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>

#include "daemon/job.h"
#include "daemon/limit.h"
#include "daemon/totals-bus.h"
#include "shared/clock.h"
#include "shared/format.h"
#include "shared/log.h"
#include "shared/lookup.h"
#include "shared/names.h"

/* An ended job can be read for a minute. */
#define JOB_KEEP_USEC (60ULL * 1000U * 1000U)
#define JOBS_ENDED_MAX 32U

/* Smaller steps are not worth a signal. */
#define PROGRESS_STEP 0.01

static const char *const type_names[] = { "estimate", "merge", "unmerge", "scan" };
static const char *const state_names[] = { "waiting", "selecting", "scanning", "merging",
                                           "done",    "failed",    "cancelled" };

const char *job_type_to_string(enum job_type type)
{
        return type_names[type];
}

const char *job_state_to_string(enum job_state state)
{
        return state_names[state];
}

static size_t count_ended(const Manager *m, uid_t uid)
{
        size_t n = 0;

        for (size_t i = 0; i < m->n_jobs; i++)
                n += job_is_over(m->jobs[i]) && m->jobs[i]->uid == uid;
        return n;
}

/* Each user's crowd out his own. */
static void drop_oldest_ended(Manager *m, uid_t uid)
{
        size_t n = count_ended(m, uid), max = uid == 0 ? JOBS_ENDED_MAX : LIMIT_ENDED_PER_USER;

        for (size_t i = 0; i < m->n_jobs && n > max; i++)
                if (job_is_over(m->jobs[i]) && m->jobs[i]->uid == uid) {
                        job_free(m->jobs[i]);
                        n--;
                        i--;
                }
}

static int append(Manager *manager, const struct job *initial, struct job **ret)
{
        struct job **jobs, *j;

        jobs = reallocarray(manager->jobs, manager->n_jobs + 1, sizeof(struct job *));
        if (!jobs)
                return -ENOMEM;
        manager->jobs = jobs;
        j = malloc(sizeof(*j));
        if (!j)
                return -ENOMEM;
        *j = *initial;
        j->manager = manager;
        j->id = ++manager->last_job_id;
        j->n_parts = 1;
        if (j->mechanism == MECHANISM_AUTO)
                j->mechanism = manager->mechanism;
        manager->jobs[manager->n_jobs++] = j;
        if (asprintf(&j->path, MERGEMEM_JOB_PREFIX "/%u", j->id) < 0) {
                /* The rest is the caller's still. */
                manager->n_jobs--;
                free(j);
                return -ENOMEM;
        }
        *ret = j;
        return 0;
}

static const enum mergemod_huge huge_pages[] = {
        [RULE_HUGE_PAGES_AUTO] = MERGEMOD_HUGE_AUTO,
        [RULE_HUGE_PAGES_KEEP] = MERGEMOD_HUGE_KEEP,
        [RULE_HUGE_PAGES_SPLIT] = MERGEMOD_HUGE_SPLIT,
};

int job_new(Manager *manager, enum job_type type, struct selector *s, uid_t uid, sd_bus_message *m,
            struct job **ret)
{
        struct job *j;
        size_t n_open = 0;
        int r;

        for (size_t i = 0; i < manager->n_jobs; i++)
                n_open += !job_is_over(manager->jobs[i]);
        if (n_open >= JOBS_MAX)
                return -ENOBUFS;
        drop_oldest_ended(manager, uid);
        r = append(manager,
                   &(struct job) {
                           .type = type,
                           .selector = *s,
                           .mechanism = s->mechanism,
                           .huge = huge_pages[s->huge_pages],
                           .uid = uid,
                           .call = m,
                   },
                   &j);
        if (r < 0)
                return r;
        sd_bus_message_ref(m);
        *s = (struct selector) {};
        j->sender = strdup(sd_bus_message_get_sender(m));
        if (!j->sender) {
                job_free(j);
                return -ENOMEM;
        }
        *ret = j;
        return 0;
}

bool job_may_use_ksm(const struct job *j)
{
        return j->manager->mechanisms[MECHANISM_KSM].works && (j->by_rule || !j->zero_only);
}

bool job_names_processes(const struct job *j)
{
        const struct rule *rule = job_tried_rule(j);

        if (j->by_rule)
                return j->include_private;
        return rule ? rule_names_processes(rule) : selector_names_processes(&j->selector);
}

int job_new_alone(Manager *manager, enum job_type type, struct selector *s, struct job **ret)
{
        int r;

        r = append(manager,
                   &(struct job) {
                           .type = type,
                           .selector = *s,
                           .mechanism = s->mechanism,
                           .huge = huge_pages[s->huge_pages],
                   },
                   ret);
        if (r >= 0)
                *s = (struct selector) {};
        return r;
}

static enum job_type type_of(const struct engine_rule *kept, const struct rule *rule,
                             enum mechanism mechanism)
{
        if (kept->to_unmerge)
                return JOB_UNMERGE;
        if (rule->merge != RULE_MERGE_YES || erosion_rests(&kept->erosion, clock_usec(CLOCK_MONOTONIC)) ||
            !kept->manager->mechanisms[mechanism].works)
                return JOB_ESTIMATE;
        /* KSM cannot be told to merge pages of zeros only. */
        if (mechanism == MECHANISM_DIRECT || (mechanism == MECHANISM_KSM && !rule->zero_only))
                return JOB_MERGE;
        return JOB_ESTIMATE;
}

int job_new_for_rule(Manager *manager, struct engine_rule *kept, const struct rule *rule, struct job **ret)
{
        enum mechanism mechanism =
                rule->mechanism == MECHANISM_AUTO ? manager->mechanism : rule->mechanism;
        _cleanup_(selector_done) struct selector s = { .trust = rule->trust };
        int r;

        r = job_add_libraries(&s, rule);
        if (r < 0)
                return r;
        r = append(manager,
                   &(struct job) {
                           .type = type_of(kept, rule, mechanism),
                           .selector = s,
                           .mechanism = mechanism,
                           .by_rule = true,
                           .rule = kept,
                           .include_private = rule_names_processes(rule),
                           .zero_only = rule->zero_only,
                           .left_out = ~rule_owners(rule),
                           .huge = huge_pages[rule->huge_pages],
                   },
                   ret);
        if (r >= 0)
                s = (struct selector) {};
        return r;
}

void job_clear_targets(struct job *j)
{
        for (size_t i = 0; i < j->n_targets; i++) {
                safe_close(j->targets[i].dir_fd);
                safe_close(j->targets[i].pid_fd);
                free(j->targets[i].exe);
                free(j->targets[i].cgroup);
                free(j->targets[i].domain_text);
                free(j->targets[i].user_domain);
                free(j->targets[i].shared_cgroup);
        }
        free(j->targets);
        j->targets = NULL;
        j->n_targets = 0;
}

void job_clear_ranges(struct job *j)
{
        for (size_t i = 0; i < j->n_ranges; i++) {
                free(j->ranges[i].ranges);
                free(j->ranges[i].undone);
        }
        free(j->ranges);
        j->ranges = NULL;
        j->n_ranges = 0;
}

/* What only a working job needs. */
static void stop_working(struct job *j)
{
        worker_forget(j->manager->worker, j);
        resolve_stop(&j->resolve);
        refresh_stop(&j->refresh);
        if (j->manager->running == j)
                manager_stop_ksm(j->manager);
        j->list = process_list_free(j->list);
        j->timer = sd_event_source_disable_unref(j->timer);
        job_clear_targets(j);
        job_clear_ranges(j);
        job_clear_other_rules(j);
        free(TAKE_PTR(j->adopt.ranges));
        job_figures_clear(j);
        kept_rows_done(&j->kept);
}

struct job *job_free(struct job *j)
{
        if (!j)
                return NULL;
        stop_working(j);
        for (size_t i = 0; i < j->manager->n_jobs; i++)
                if (j->manager->jobs[i] == j) {
                        memmove(&j->manager->jobs[i], &j->manager->jobs[i + 1],
                                (j->manager->n_jobs - i - 1) * sizeof(struct job *));
                        j->manager->n_jobs--;
                        break;
                }
        if (j->manager->running == j)
                j->manager->running = NULL;
        sd_bus_message_unref(j->call);
        selector_done(&j->selector);
        conf_done(&j->tried);
        report_done(&j->report);
        free(j->sender);
        free(j->path);
        free(j->error_name);
        free(j->error_message);
        free(j);
        return NULL;
}

void job_accept(struct job *j)
{
        int r;

        if (!j->call)
                return;
        j->announced = true;
        job_signal(j, "JobNew");
        r = sd_bus_reply_method_return(j->call, "o", j->path);
        if (r < 0)
                log_warning_errno(r, "Cannot answer the caller of job %u: %m", j->id);
        j->call = sd_bus_message_unref(j->call);
}

static int on_kept_long_enough(sd_event_source *source, uint64_t usec, void *userdata)
{
        job_free(userdata);
        return 0;
}

/* The last state of a job. One that nobody was told of disappears at once. */
static void end(struct job *j, enum job_state state)
{
        Manager *m = j->manager;
        int r;

        if (j->started_usec > 0)
                job_figures_end(j);
        if (j->rule)
                engine_turn_ended(j, state);
        stop_working(j);
        j->report.duration_usec = j->started_usec > 0 ? clock_usec(CLOCK_MONOTONIC) - j->started_usec : 0;
        if (state == JOB_DONE)
                job_set_progress(j, 1.0);
        job_set_state(j, state);
        if (m->running == j)
                m->running = NULL;
        log_full(j->by_rule || j->ended ? LOG_DEBUG : LOG_INFO, 0, "Job %u, %s: %s%s%s", j->id,
                 job_type_to_string(j->type), job_state_to_string(state), j->error_message ? ": " : ".",
                 j->error_message ?: "");

        if (state != JOB_FAILED)
                job_log_result(j);
        totals_changed(m);
        if (j->ended)
                j->ended(j, j->userdata);
        if (state == JOB_DONE && j->type != JOB_UNMERGE)
                job_signal(j, "ScanFinished");
        if (j->announced) {
                job_signal(j, "JobRemoved");
                r = sd_event_add_time_relative(m->event, &j->timer, CLOCK_MONOTONIC, JOB_KEEP_USEC, 0,
                                               on_kept_long_enough, j);
                if (r < 0)
                        job_free(j);
        } else
                job_free(j);
        manager_dispatch(m);
}

void job_finish(struct job *j)
{
        job_accept(j);
        end(j, j->cancelled ? JOB_CANCELLED : JOB_DONE);
}

void job_fail(struct job *j, const char *error_name, const char *format, ...)
{
        _cleanup_(freep) char *message = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&message, format, ap);
        va_end(ap);
        if (r < 0)
                message = NULL;
        else
                j->error_message = bus_text(message);
        j->error_name = strdup(error_name);
        if (j->call) {
                (void) sd_bus_reply_method_errorf(j->call, error_name, "%s",
                                                  j->error_message ?: "Out of memory.");
                j->call = sd_bus_message_unref(j->call);
        }
        end(j, JOB_FAILED);
}

void job_fail_errno(struct job *j, int error, const char *what)
{
        errno = -error;
        job_fail(j, MERGEMEM_ERROR_FAILED, "%s: %m", what);
}

void job_cancel(struct job *j)
{
        if (job_is_over(j) || j->cancelled)
                return;
        j->cancelled = true;
        /* Once targets are touched, what became of them is still found out. */
        if (j->state != JOB_MERGING)
                job_finish(j);
        else if (j->direct.running)
                worker_cancel(j->manager->worker, j);
}

void job_set_state(struct job *j, enum job_state state)
{
        if (j->state == state)
                return;
        j->state = state;
        job_emit(j, "State");
        manager_notify_status(j->manager);
}

void job_set_progress(struct job *j, double progress)
{
        progress = MIN(progress, 1.0);
        j->progress = MAX(j->progress, progress);
        if (j->progress < j->emitted_progress + PROGRESS_STEP && j->progress < 1.0)
                return;
        j->emitted_progress = j->progress;
        job_emit(j, "Progress");
}

void job_start(struct job *j)
{
        j->started_usec = clock_usec(CLOCK_MONOTONIC);
        j->metadata_bytes = manager_metadata_bytes(j->manager);
        job_set_state(j, JOB_SELECTING);
        if (j->by_rule)
                job_select_by_rule(j);
        else
                job_select(j);
}

void job_note_metadata(struct job *j)
{
        uint64_t now = manager_metadata_bytes(j->manager);

        j->report.metadata_bytes = now - MIN(now, j->metadata_bytes);
}

int job_ranges_append(struct job *j, uint32_t target, const struct worker_range *ranges, size_t n,
                      uint64_t n_pages)
{
        struct job_ranges *all;
        struct worker_range *copy;

        all = array_grow(j->ranges, j->n_ranges, sizeof(*all));
        if (!all)
                return -ENOMEM;
        j->ranges = all;
        copy = calloc(MAX(n, (size_t) 1), sizeof(*copy));
        if (!copy)
                return -ENOMEM;
        if (n > 0)
                memcpy(copy, ranges, n * sizeof(*copy));
        all[j->n_ranges++] =
                (struct job_ranges) { .target = target, .ranges = copy, .n = n, .n_pages = n_pages };
        return 0;
}

void job_count(struct job *j, struct registry *registry, worker_done_t done)
{
        refresh_stop(&j->manager->refresh);
        refresh_start(&j->refresh, registry, &j->manager->account, j->manager->worker, done, j);
}
