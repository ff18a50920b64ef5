/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/explain.h"
#include "daemon/job.h"
#include "daemon/limit.h"
#include "daemon/listing.h"
#include "daemon/pages-bus.h"
#include "shared/names.h"

static uint64_t now_usec(const Manager *m)
{
        uint64_t usec = 0;

        (void) sd_event_now(m->event, CLOCK_MONOTONIC, &usec);
        return usec;
}

static int refuse_for_now(sd_bus_error *error)
{
        return sd_bus_error_set(error, MERGEMEM_ERROR_LIMITS,
                                "This user has had enough done for now: try again in a while.");
}

static int limit_request(Manager *m, const struct selector *s, sd_bus_error *error)
{
        size_t n_lookups = 0;

        for (size_t i = 0; i < s->n_values; i++)
                n_lookups += selector_value_needs_resolving(&s->values[i]);
        if (s->owner != 0 && n_lookups > LIMIT_LOOKUPS)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS,
                                         "More than %u paths and users to look up.", LIMIT_LOOKUPS);
        return limit_take(m, s, QUOTA_REQUEST_PAGES) ? 0 : refuse_for_now(error);
}

int limit_job(Manager *m, const struct selector *s, sd_bus_error *error)
{
        size_t n = 0, n_his = 0;

        for (size_t i = 0; i < m->n_jobs; i++) {
                const struct job *j = m->jobs[i];

                n += !job_is_over(j) && j->uid != 0;
                n_his += !job_is_over(j) && j->uid == s->owner;
        }
        if (s->owner != 0 && (n >= LIMIT_JOBS || n_his >= LIMIT_JOBS_PER_USER))
                return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS, "%zu jobs of %s are waiting already.",
                                         n_his >= LIMIT_JOBS_PER_USER ? n_his : n,
                                         n_his >= LIMIT_JOBS_PER_USER ? "this user" : "all users");
        return limit_request(m, s, error);
}

int limit_listing(Manager *m, const struct selector *s, sd_bus_error *error)
{
        size_t n = 0, n_his = 0;

        for (size_t i = 0; i < m->n_listings; i++) {
                uid_t uid = m->listings[i]->selector.owner;

                n += uid != 0;
                n_his += uid == s->owner;
        }
        if (s->owner != 0 && (n >= LIMIT_LISTINGS || n_his >= LIMIT_LISTINGS_PER_USER))
                return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS,
                                         "%zu lists for %s are being made already.",
                                         n_his >= LIMIT_LISTINGS_PER_USER ? n_his : n,
                                         n_his >= LIMIT_LISTINGS_PER_USER ? "this user" : "all users");
        return limit_request(m, s, error);
}

int limit_paging(Manager *m, const struct selector *s, sd_bus_error *error)
{
        size_t n = 0, n_his = 0;

        for (size_t i = 0; i < m->n_paging; i++) {
                uid_t uid = paging_uid(m->paging[i]);

                n += uid != 0;
                n_his += uid == s->owner;
        }
        if (m->n_paging >= PAGING_MAX ||
            (s->owner != 0 && (n >= LIMIT_PAGING || n_his >= LIMIT_PAGING_PER_USER)))
                return sd_bus_error_set(error, MERGEMEM_ERROR_LIMITS,
                                        "Too many answers about pages are being made already.");
        return limit_request(m, s, error);
}

int limit_explaining(Manager *m, uid_t uid, bool only_own, sd_bus_error *error)
{
        uint64_t now = now_usec(m);
        size_t n_his = 0, n = 0;

        for (size_t i = 0; i < m->n_explaining; i++) {
                uid_t other = explaining_uid(m->explaining[i]);

                n += other != 0;
                n_his += other == uid;
        }
        if (m->n_explaining >= EXPLAINING_MAX ||
            (uid != 0 && (n >= LIMIT_EXPLAINING || n_his >= LIMIT_EXPLAINING_PER_USER)))
                return sd_bus_error_set(error, MERGEMEM_ERROR_LIMITS,
                                        "Too many explanations are being made already.");
        if (!only_own)
                return 0;
        if (quota_left(&m->pages, uid, now) < QUOTA_EXPLAIN_PAGES)
                return refuse_for_now(error);
        quota_take(&m->pages, uid, QUOTA_EXPLAIN_PAGES, now);
        return 0;
}

/* About how long it takes to answer it. What costs more is counted where it is done. */
static int64_t cost_usec(const Manager *m, sd_bus_message *call)
{
        /* What is written grows with the configuration. */
        if (sd_bus_message_is_method_call(call, NULL, "ListSettings") > 0 ||
            sd_bus_message_is_method_call(call, NULL, "ListRules") > 0)
                return 1000 + 100 * (int64_t) m->conf.n_rules;
        if (sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Introspectable", NULL) > 0 ||
            sd_bus_message_is_method_call(call, NULL, "GetAll") > 0)
                return 1000;
        return 100;
}

/* Whether it is passed on. */
static bool take_call(Manager *m, sd_bus_message *call, uid_t uid)
{
        int64_t cost = cost_usec(m, call), left = quota_left(&m->calls, uid, now_usec(m));

        /* Who is told to wait and does not is told no more: the bus then lets no more of his calls pass. */
        if (left < cost && left > -QUOTA_CALLS_MAX)
                (void) sd_bus_reply_method_errorf(call, MERGEMEM_ERROR_LIMITS,
                                                  "This user calls too often: wait for a while.");
        quota_take(&m->calls, uid, left < cost ? 100 : cost, now_usec(m));
        return left >= cost;
}

int limit_filter(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Manager *manager = userdata;
        uid_t uid;

        if (sd_bus_message_is_method_call(m, NULL, NULL) <= 0)
                return 0;
        if (caller_waits(&manager->auth.callers, m))
                return 1;
        if (caller_uid(&manager->auth.callers, m, &uid) < 0)
                return sd_bus_message_get_expect_reply(m) == 0;
        if (uid == 0)
                return 0;
        return sd_bus_message_get_expect_reply(m) == 0 || !take_call(manager, m, uid);
}

bool limit_take(Manager *m, const struct selector *s, uint64_t pages)
{
        uint64_t now = now_usec(m);

        if (!s->only_own)
                return true;
        if (quota_left(&m->pages, s->owner, now) < (int64_t) pages)
                return false;
        quota_take(&m->pages, s->owner, (int64_t) pages, now);
        return true;
}

void limit_charge_seen(Manager *m, const struct selector *s, uint64_t pages)
{
        if (s->only_own)
                quota_take(&m->pages, s->owner, (int64_t) (pages / LIMIT_SEEN_PER_READ), now_usec(m));
}

void limit_penalize(Manager *m, const struct selector *s)
{
        if (s->only_own)
                quota_take(&m->pages, s->owner, QUOTA_PENALTY_PAGES, now_usec(m));
}

bool limit_goes_first(const Manager *m, const struct job *a, const struct job *b)
{
        uint64_t now = now_usec(m);

        if ((a->uid == 0) != (b->uid == 0))
                return a->uid == 0;
        if (a->uid == b->uid)
                return a->id < b->id;
        return quota_left(&m->pages, a->uid, now) > quota_left(&m->pages, b->uid, now);
}
