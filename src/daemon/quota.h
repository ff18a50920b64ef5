/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How much work each user may cause who is not root: a store that is used up and fills again with time. Pure
 * functions of the time. */

struct quota_rate {
        int64_t max, per_sec;
        int64_t debt_max; /* what is taken beyond that is forgotten */
};

/* Memory to look at, in pages. 4 GiB at once take a few seconds; in the long run 64 MiB a second are about a
 * tenth of a core. */
#define QUOTA_PAGES_MAX (INT64_C(1) << 20)
#define QUOTA_PAGES_PER_SEC (INT64_C(1) << 14)
/* What a request costs besides: a pass over all processes, to find his own. */
#define QUOTA_REQUEST_PAGES QUOTA_PAGES_PER_SEC
/* An explanation is about one process, but brings the books up to date. */
#define QUOTA_EXPLAIN_PAGES (QUOTA_PAGES_PER_SEC / 8)
/* For memory or paths that do not answer, and cost the worker its life: back in two minutes. */
#define QUOTA_PENALTY_PAGES (2 * QUOTA_PAGES_MAX)
extern const struct quota_rate quota_pages;

/* Calls, in microseconds that it takes to answer them, or about that: a tenth of a core, and a second of
 * it at once. That is more than it takes for the calls about layouts that may come at once, which have a
 * limit of their own. */
#define QUOTA_CALLS_MAX INT64_C(1000000)
#define QUOTA_CALLS_PER_SEC INT64_C(100000)
extern const struct quota_rate quota_calls;

/* Users with less than all of it. */
#define QUOTA_USERS_MAX 256U

struct quota {
        uid_t uid;
        int64_t left; /* negative: in debt */
        uint64_t since_usec;
};

struct quotas {
        const struct quota_rate *rate;
        struct quota users[QUOTA_USERS_MAX];
        size_t n;
};

/* How much @uid has left; negative if he has taken more than there was. */
int64_t quota_left(const struct quotas *q, uid_t uid, uint64_t now_usec);
/* Takes @n, more than are left too. */
void quota_take(struct quotas *q, uid_t uid, int64_t n, uint64_t now_usec);
