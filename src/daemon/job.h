/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/mergemod.h>

#include "daemon/engine.h"
#include "daemon/kept-rows.h"
#include "daemon/manager.h"
#include "daemon/policy.h"
#include "daemon/process-list.h"
#include "daemon/report.h"
#include "daemon/resolve.h"
#include "daemon/rules.h"
#include "lib/records.h"

enum job_type { JOB_ESTIMATE, JOB_MERGE, JOB_UNMERGE, JOB_SCAN };

enum job_state {
        JOB_WAITING,
        JOB_SELECTING,
        JOB_SCANNING,
        JOB_MERGING,
        JOB_DONE,
        JOB_FAILED,
        JOB_CANCELLED,
};

/* A process that the job is about. */
struct job_target {
        pid_t pid;
        uint64_t start_ticks;
        int dir_fd, pid_fd;
        pid_t parent;
        char *domain_text;
        char *user_domain; /* where the job trusts more widely: what it would be for TRUST_USER */
        uint32_t domain;   /* index into report.domains, if selected */
        struct mm_file_id exe_id;
        char *exe;
        bool selected; /* else only asked what KSM holds of it */
        bool hung;     /* it held the worker up: not touched again */
        char *cgroup;
        /* By a rule: the directory within which it may share; see backoff.h; what it had merged, or could
         * have, before. */
        char *shared_cgroup;
        struct backoff_process known;
        uint64_t before;
        struct worker_other_rules other_rules;
        bool registered; /* has memory in KSM's hands, whoever put it there */
        bool strayed;    /* what we put there has become another domain's */
};

/* Ranges of one target to register, merge or give back. */
struct job_ranges {
        uint32_t target;
        bool direct; /* mergemod's */
        struct worker_range *ranges;
        size_t n;
        uint64_t n_pages;
        /* To register: of them, what is neither done nor was noted as ours before. */
        struct worker_range *undone;
        size_t n_undone;
};

/* A pattern of another rule, which may decide about a library: as in struct worker_library. */
struct job_other {
        char *pattern;
        uint32_t rule;
        bool never;
};

struct job {
        Manager *manager;
        uint32_t id;
        enum job_type type;
        enum job_state state;
        char *path;
        char *error_name, *error_message;
        double progress, emitted_progress;
        uint64_t started_usec;
        uid_t uid;            /* who wants it */
        char *sender;         /* on that connection; NULL: the service itself */
        sd_bus_message *call; /* to be answered once it is known whether anything matches */
        bool announced;
        bool cancelled; /* winds up what it began with targets, then ends */
        /* Called at its end, while all it found is still there; NULL: nobody wants to know. */
        void (*ended)(struct job *j, void *userdata);
        void *userdata;
        sd_event_source *timer; /* waits for ksmd; then, for the end of the object */

        struct selector selector;
        struct conf tried; /* TryRule(): has that rule behind the default one, which the selector goes by */
        enum mechanism mechanism;
        /* Of a rule instead: what it says, and what is kept of it, which a reload may take away. */
        bool by_rule;
        struct engine_rule *rule;
        bool include_private, zero_only;
        unsigned left_out; /* RULE_OWNER_* */
        enum mergemod_huge huge;
        bool stacks;    /* are looked at too */
        bool one_pass;  /* no page is read twice, whatever that takes in bookkeeping */
        uint64_t round; /* as in backoff.h */
        void (*libraries_then)(struct job *j);
        uint64_t n_never_pages; /* merged, of processes that are never to be */

        /* Only so fast: what waits for its time, and for how much of it. */
        struct {
                void (*then)(struct job *j);
                uint64_t least_usec;
        } pace;
        bool hurried;
        uint64_t slice_usec; /* that the step at hand may take; 0: as much as it needs */
        uint64_t from;       /* where that step goes on; 0: at the beginning */
        struct report report;

        struct resolve resolve;
        struct process_list *list;
        process_list_each_t meet;      /* for each process */
        void (*listed)(struct job *j); /* and after the last */
        bool waits;                    /* what rules ask of some process is not known yet */
        bool listed_again;             /* it has been waited for */
        uint64_t conf_generation;      /* that the processes were judged by */
        struct job_target *targets;
        size_t n_targets;
        uint64_t n_expected_pages;
        struct job_other *others;
        size_t n_others;

        size_t next;         /* what the step at hand works on: value, library, target, ranges */
        unsigned generation; /* of the worker that knows the round */
        unsigned n_restarts;
        uint32_t part, n_parts;
        uint64_t seed;
        bool matched, incomplete;
        bool forbidden; /* libraries that were asked for are left alone, as a rule says never */
        bool grouped; /* the part at hand, and its figures are in the report */
        struct kept_rows kept; /* figures of it that are not there yet */
        uint32_t domain; /* merged, once it is chosen */
        bool chosen;
        struct job_ranges *ranges;
        size_t n_ranges;
        uint64_t ranges_done;
        uint64_t n_saved, n_shared; /* by the part at hand, through KSM */
        uint64_t n_rest;            /* frames of the part at hand that only KSM could free */
        uint64_t n_huge;            /* and those that mergemod leaves to huge pages, if it still does */
        struct {
                uint64_t n_freed, n_merged; /* frames and pages, by the part at hand */
                int error;                  /* that its worker ended with */
                bool running;               /* the call can be cancelled */
        } direct;
        struct refresh refresh;
        /* The worker's numbers of owners, while it tells whose memory is whose. */
        struct {
                struct account_line **owners;
                size_t n_owners;
        } figures;
        uint64_t pass;     /* over all processes, in the books */
        uint64_t cpu_nsec; /* that was used when it began */
        uint64_t metadata_bytes; /* that the kernel kept for all that was merged, when it began */
        struct job_target *busy; /* that the running call is about */

        /* While children are looked for. */
        struct {
                void (*then)(struct job *j);
                struct worker_range *ranges; /* that the target at hand has registered */
                size_t n;
                bool incomplete;
        } adopt;

        /* While ksmd works for the job. */
        struct {
                void (*then)(struct job *j);
                unsigned passes;
                double progress; /* before */
                uint64_t full_scans, cpu_nsec, deadline_usec;
                uint64_t begun_usec; /* when it was last started */
                bool resumed;
                uint64_t last_activity, idle_since_usec;
        } ksm;
};

const char *job_type_to_string(enum job_type type);
const char *job_state_to_string(enum job_state state);
/* Whether it merges or unmerges; the others only look. */
static inline bool job_changes(enum job_type type)
{
        return type == JOB_MERGE || type == JOB_UNMERGE;
}
static inline bool job_is_over(const struct job *j)
{
        return j->state >= JOB_DONE;
}

/* A new waiting job of user @uid for the call @m, whose selector @s it takes over. 0; -ENOBUFS if there are
 * too many; -ENOMEM. */
int job_new(Manager *manager, enum job_type type, struct selector *s, uid_t uid, sd_bus_message *m,
            struct job **ret);
struct job *job_free(struct job *j);

/* A new waiting job without a caller: whoever makes it sets what he wants of it, and @ended to hear of its
 * end. 0; -ENOMEM. */
int job_new_alone(Manager *manager, enum job_type type, struct selector *s, struct job **ret);

/* job-tried.c: a new estimate for the call @m of user @uid of all that the rule behind the default one in
 * *@c would be about; takes *@c over. It is dispatched. 0; -errno, for limits with @error set; -ENOBUFS. */
int job_new_tried(Manager *manager, struct conf *c, uid_t uid, sd_bus_message *m, sd_bus_error *error);
/* NULL: the selector says what is meant. */
const struct rule *job_tried_rule(const struct job *j);
/* Whether it is about @p: 1, 0, -errno. */
int job_tried_match(struct job *j, const struct mm_process *p, const char *unit);

/* Whether KSM could merge for it: it works, and is not told to merge pages of zeros only. */
bool job_may_use_ksm(const struct job *j);

/* Whether it names its processes in a way they cannot choose themselves. */
bool job_names_processes(const struct job *j);

/* Starts work; only for the manager. */
void job_start(struct job *j);
void job_cancel(struct job *j);

/* Something matches: the caller gets its answer. */
void job_accept(struct job *j);
void job_finish(struct job *j);
void job_fail(struct job *j, const char *error_name, const char *format, ...) _printf_(3, 4);
void job_fail_errno(struct job *j, int error, const char *what);
void job_set_state(struct job *j, enum job_state state);
void job_set_progress(struct job *j, double progress);

/* Reports what the kernel keeps since the job began for what is merged. */
void job_note_metadata(struct job *j);

/* Forgets the targets but keeps the report. */
void job_clear_targets(struct job *j);
void job_clear_ranges(struct job *j);
/* Takes a copy of @ranges, which @n_pages pages lie in, for target @target. 0 or -ENOMEM. */
int job_ranges_append(struct job *j, uint32_t target, const struct worker_range *ranges, size_t n,
                      uint64_t n_pages);

/* Counts anew what of @registry is merged now; two counts at a time would see each other's frames. */
void job_count(struct job *j, struct registry *registry, worker_done_t done);

/* The trust domain of @p, in unit @unit or NULL, as this job sees it; @cgroup: within which it may share.
 * 0 and a new string, or -ENOMEM. */
int job_domain_of(const struct job *j, const struct mm_process *p, const char *unit, const char *cgroup,
                  char **ret);
/* Makes @p one. What is taken over of it is not in it any more. */
int job_add_target(struct job *j, struct mm_process *p, const char *unit, const char *cgroup, bool selected);

/* job-list.c: has @meet called for each process, and then @then; before that the job has no targets, and
 * nothing in its report. */
void job_list(struct job *j, process_list_each_t meet, void (*then)(struct job *j));

/* job-select.c: values -> processes. Ends in job_scan() or job_unmerge(). */
void job_select(struct job *j);

/* A new job of a rule, which waits for nobody. */
int job_new_for_rule(Manager *manager, struct engine_rule *kept, const struct rule *rule, struct job **ret);

/* job-rule.c: a rule -> processes. Ends in job_scan() or job_finish(). */
void job_select_by_rule(struct job *j);
/* What the turn has shown of each process, and of the rule. */
void job_note_gains(struct job *j);
/* How long @p runs, which includes time that the machine was asleep. */
uint64_t job_process_age_usec(const struct mm_process *p);

/* engine.c: a turn is over; the job still has all it found. */
void engine_turn_ended(struct job *j, enum job_state state);

/* job-library.c: tells the worker which libraries a round is about, then calls @then. */
void job_libraries(struct job *j, void (*then)(struct job *j));
const struct selector_value *job_library_at(const struct job *j, size_t index);
/* The libraries of a rule are looked for as a selector's are, but that none of them must be there. */
int job_add_libraries(struct selector *s, const struct rule *rule);
/* Which other rules may decide about libraries of @s's process; they are those of the configuration that is
 * in force, whose patterns job_copy_other_rules() keeps. */
void job_note_other_rules(const struct job *j, const struct rule_subject *s, struct worker_other_rules *ret);
/* 0 or -ENOMEM. */
int job_copy_other_rules(struct job *j);
void job_clear_other_rules(struct job *j);

/* pace.c: calls @then when the job may go on, which is at once but for jobs of rules. What cannot be cut
 * into slices says how long it takes. */
void job_pace(struct job *j, uint64_t least_usec, void (*then)(struct job *j));
/* Somebody waits: no more pauses. */
void job_hurry(struct job *j);

/* Records that are sorted, or otherwise gone through, in a microsecond: about. */
#define PAGES_PER_USEC 4U

/* job-scan.c: processes -> groups. Ends in job_merge() or job_finish(). */
void job_scan(struct job *j);
/* The next part of the hashes, or the end. */
void job_next_part(struct job *j);
/* Calls the worker for the round at hand; one that knows nothing of it gives -EPIPE. */
int job_call(struct job *j, const union worker_packet *p, int fd, worker_row_t row, worker_done_t done);
/* The same about one process. */
int job_call_target(struct job *j, struct job_target *t, const union worker_packet *p, worker_row_t row,
                    worker_done_t done);
/* Whether @error is one that another try may not meet; then it is under way. */
bool job_retry(struct job *j, int error);

/* job-figures.c: groups -> the books. Once a first part begins; for each row of groups; at the end. */
void job_figures_begin(struct job *j);
void job_figures_row(struct job *j, const union worker_packet *row);
void job_figures_clear(struct job *j);
void job_figures_end(struct job *j);

/* job-log.c: messages that LogMask= asks for. */
void job_log_result(const struct job *j);
void job_log_selected(const struct job *j, const struct mm_process *p, enum exclusion why);
void job_log_part(const struct job *j, pid_t pid, const struct account_line *owner,
                  const struct worker_part *part);
void job_log_group(const struct job *j, const struct worker_group_row *group);

/* job-merge.c: groups -> shared memory. Ends in job_next_part(). */
void job_merge(struct job *j);
void job_plan(struct job *j);

/* job-adopt.c: takes over who has inherited what we registered, then calls @then. */
void job_adopt(struct job *j, void (*then)(struct job *j));

/* The same by KSM, of what the job's mechanism leaves to it. */
void job_merge_ksm(struct job *j);
/* KSM is another domain's: the job has failed, or goes on without what only KSM could merge. */
void job_domain_busy(struct job *j, const char *format, ...) _printf_(2, 3);

/* job-direct.c: groups -> shared memory, by mergemod. Ends in job_merge_ksm() or job_next_part(). */
void job_merge_direct(struct job *j);

/* job-census.c: who else has memory in KSM's hands. Ends in job_plan(). */
void job_census(struct job *j);

/* job-ksm.c: lets ksmd make @passes passes over what is registered, then calls @then. */
void job_ksm_run(struct job *j, unsigned passes, void (*then)(struct job *j));
/* CPU time of ksmd for the job that is not in the manager's sum yet. */
uint64_t job_ksm_spent_nsec(const struct job *j);

/* job-unmerge.c */
void job_unmerge(struct job *j);

/* job-bus.c */
int job_attach(Manager *m);
/* Whether whoever sent the message at hand may see it. */
bool job_is_visible(const struct job *j);
/* "JobNew" or "JobRemoved". */
void job_signal(const struct job *j, const char *member);
/* @property has changed: "State" or "Progress". */
void job_emit(struct job *j, const char *property);
