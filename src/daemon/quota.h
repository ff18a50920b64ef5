/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How much work each user may cause who is not root, counted in pages to look at: a store that is used
 * up and fills again with time. Pure functions of the time. */

/* 4 GiB at once take a few seconds; in the long run 64 MiB a second are about a tenth of a core. */
#define QUOTA_PAGES_MAX (INT64_C(1) << 20)
#define QUOTA_PAGES_PER_SEC (INT64_C(1) << 14)
/* What a request costs besides: a pass over all processes, to find his own. */
#define QUOTA_REQUEST_PAGES QUOTA_PAGES_PER_SEC
/* An explanation is about one process, but brings the books up to date. */
#define QUOTA_EXPLAIN_PAGES (QUOTA_PAGES_PER_SEC / 8)
/* For memory or paths that do not answer, and cost the worker its life: back in two minutes. */
#define QUOTA_PENALTY_PAGES (2 * QUOTA_PAGES_MAX)

/* Users with less than all of it. */
#define QUOTA_USERS_MAX 256U

struct quota {
        uid_t uid;
        int64_t pages; /* left; negative: in debt */
        uint64_t since_usec;
};

struct quotas {
        struct quota users[QUOTA_USERS_MAX];
        size_t n;
};

/* How many pages @uid has left. */
uint64_t quota_left(const struct quotas *q, uid_t uid, uint64_t now_usec);
/* Takes @pages, more than are left too. */
void quota_take(struct quotas *q, uid_t uid, int64_t pages, uint64_t now_usec);
