/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"
#include "daemon/limit.h"
#include "daemon/listing.h"
#include "daemon/request.h"
#include "daemon/selector-bus.h"
#include "shared/names.h"

/* A call with its selector, as its caller may mean it. */
struct request {
        enum job_type type;
        uid_t uid;
        struct selector selector;
        enum auth_action action; /* what it takes, for who is not root */
        enum memory_by by;       /* of Memory */
};

static void request_done(struct request *q)
{
        selector_done(&q->selector);
}

static enum job_type type_of(sd_bus_message *m)
{
        const char *member = sd_bus_message_get_member(m);

        return streq(member, "Merge")     ? JOB_MERGE
               : streq(member, "Unmerge") ? JOB_UNMERGE
               : streq(member, "Scan")    ? JOB_SCAN
                                          : JOB_ESTIMATE;
}

static enum mechanism mechanism_of(const Manager *m, const struct selector *s)
{
        return s->mechanism == MECHANISM_AUTO ? m->mechanism : s->mechanism;
}

static int request_read(Manager *manager, sd_bus_message *m, struct request *q, sd_bus_error *error)
{
        struct selector *s = &q->selector;
        int r;

        r = selector_read(m, s, error);
        if (r < 0)
                return r;
        r = auth_caller(manager, m, &q->uid, error);
        if (r < 0)
                return r;
        s->only_own = q->uid != 0 && !s->others;
        s->owner = q->uid;
        return 0;
}

/* Whether a job of this kind can be done at all; else @error says why. */
static int check_job(const Manager *m, const struct request *q, sd_bus_error *error)
{
        const struct selector *s = &q->selector;
        enum mechanism mechanism = mechanism_of(m, s);

        if (selector_is_empty(s) && q->type != JOB_SCAN)
                return sd_bus_error_set(error, MERGEMEM_ERROR_BAD_SELECTOR,
                                        "The selector is empty: say what is meant, or \"all\".");
        if (s->trust != TRUST_USER && s->only_own)
                return sd_bus_error_set(error, MERGEMEM_ERROR_BAD_SELECTOR,
                                        "Trust beyond one user is about others' processes: say \"others\".");
        if (s->trust != TRUST_USER && !selector_names_processes(s))
                return sd_bus_error_set(
                        error, MERGEMEM_ERROR_BAD_SELECTOR,
                        "Trust beyond one user needs processes named by unit, cgroup, user or program.");
        if (s->trust == TRUST_CGROUP && !selector_has(s, SELECTOR_CGROUP) && !selector_has(s, SELECTOR_UNIT))
                return sd_bus_error_set(error, MERGEMEM_ERROR_BAD_SELECTOR,
                                        "Trust within a cgroup needs a cgroup or unit in the selector.");
        if (!m->mechanisms[mechanism].works)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_NOT_SUPPORTED,
                                         "Mechanism %s does not work here: %s.",
                                         mechanism_to_string(mechanism), m->mechanisms[mechanism].reason);
        /* What is kept of them are ranges, and processes change what these are. */
        if (q->type == JOB_UNMERGE && selector_has(s, SELECTOR_SHLIB))
                return sd_bus_error_set(error, MERGEMEM_ERROR_BAD_SELECTOR,
                                        "Unmerge is about whole processes: leave out the library.");
        if (q->type == JOB_MERGE && mechanism == MECHANISM_OBSERVE)
                return sd_bus_error_set(
                        error, MERGEMEM_ERROR_NOT_SUPPORTED,
                        "Mechanism observe merges nothing; estimate shows what could be saved.");
        return 0;
}

static enum auth_action action_of(const Manager *m, const struct request *q)
{
        const struct selector *s = &q->selector;

        if (!s->only_own)
                return q->type == JOB_MERGE     ? AUTH_MERGE
                       : q->type == JOB_UNMERGE ? AUTH_UNMERGE
                                                : AUTH_INSPECT;
        /* An unmerge undoes what mergemod did whatever mechanism it names. */
        if (q->type == JOB_MERGE ? mechanism_of(m, s) == MECHANISM_DIRECT
                                 : q->type == JOB_UNMERGE && m->mechanisms[MECHANISM_DIRECT].works)
                return AUTH_MERGE_OWN_DIRECT;
        return AUTH_MERGE_OWN;
}

static int read_job(Manager *manager, sd_bus_message *m, struct request *q, sd_bus_error *error)
{
        int r;

        q->type = type_of(m);
        r = request_read(manager, m, q, error);
        if (r >= 0)
                r = check_job(manager, q, error);
        if (r < 0)
                return r;
        q->action = action_of(manager, q);
        return 0;
}

static int start_job(Manager *manager, sd_bus_message *m, enum auth_action granted, sd_bus_error *error)
{
        _cleanup_(request_done) struct request q = {};
        struct job *j;
        int r;

        r = read_job(manager, m, &q, error);
        if (r < 0)
                return r;
        if (q.action != granted)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "The mechanism has changed while polkit was asked: try again.");
        r = limit_job(manager, &q.selector, error);
        if (r < 0)
                return r;
        r = job_new(manager, q.type, &q.selector, q.uid, m, &j);
        if (r == -ENOBUFS)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS, "%u jobs are waiting already.",
                                         JOBS_MAX);
        if (r < 0)
                return r;
        if (manager->running)
                job_accept(j);
        else
                manager_dispatch(manager);
        return 1;
}

int request_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(request_done) struct request q = {};
        int r;

        r = read_job(userdata, m, &q, error);
        return r < 0 ? r : auth_check(userdata, m, q.action, start_job, error);
}

static enum listing_kind kind_of(sd_bus_message *m)
{
        const char *member = sd_bus_message_get_member(m);

        return streq(member, "ListLibraries") ? LISTING_LIBRARIES
               : streq(member, "ListOwners")  ? LISTING_OWNERS
               : streq(member, "ListCgroups") ? LISTING_CGROUPS
               : streq(member, "Memory")      ? LISTING_MEMORY
                                              : LISTING_PROCESSES;
}

static int read_list(Manager *manager, sd_bus_message *m, struct request *q, sd_bus_error *error)
{
        const char *by;
        int r;

        r = request_read(manager, m, q, error);
        if (r < 0 || kind_of(m) == LISTING_LIBRARIES)
                return r;
        if (kind_of(m) != LISTING_MEMORY)
                return selector_has(&q->selector, SELECTOR_SHLIB)
                               ? sd_bus_error_setf(error, MERGEMEM_ERROR_BAD_SELECTOR,
                                                   "%s is about whole processes: leave out the library.",
                                                   sd_bus_message_get_member(m))
                               : 0;
        r = sd_bus_message_read(m, "s", &by);
        if (r < 0)
                return r;
        q->by = memory_by_from_string(by);
        if (q->by == MEMORY_BY_INVALID_)
                return sd_bus_error_setf(
                        error, MERGEMEM_ERROR_BAD_SELECTOR,
                        "Memory is told by process, program, user, cgroup or library, not by \"%s\".", by);
        return 0;
}

static int start_list(Manager *manager, sd_bus_message *m, enum auth_action granted, sd_bus_error *error)
{
        _cleanup_(request_done) struct request q = {};
        int r;

        r = read_list(manager, m, &q, error);
        if (r < 0)
                return r;
        r = limit_listing(manager, &q.selector, error);
        if (r < 0)
                return r;
        r = listing_new(manager, kind_of(m), q.by, &q.selector, m);
        if (r == -ENOBUFS)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS, "%u lists are being made already.",
                                         LISTINGS_MAX);
        return r;
}

int request_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(request_done) struct request q = {};
        int r;

        r = read_list(userdata, m, &q, error);
        if (r < 0)
                return r;
        if (!q.selector.only_own)
                return auth_check(userdata, m, AUTH_INSPECT, start_list, error);
        /* What is his own he can see anyway. */
        r = sd_bus_message_rewind(m, true);
        return r < 0 ? r : start_list(userdata, m, AUTH_MERGE_OWN, error);
}

int request_list_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Manager *manager = userdata;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(uossda{sv})");
        for (size_t i = 0; i < manager->n_jobs && r >= 0; i++) {
                const struct job *j = manager->jobs[i];

                if (job_is_visible(j))
                        r = sd_bus_message_append(reply, "(uossda{sv})", j->id, j->path,
                                                  job_type_to_string(j->type), job_state_to_string(j->state),
                                                  j->progress, 0);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
