/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/quota.h"
#include "shared/macro.h"

#define USEC_PER_SEC INT64_C(1000000)
/* From any debt that can be made it is full again by then. */
#define FULL_USEC (UINT64_C(3600) * USEC_PER_SEC)

const struct quota_rate quota_pages = {
        .max = QUOTA_PAGES_MAX, .per_sec = QUOTA_PAGES_PER_SEC, .debt_max = QUOTA_PENALTY_PAGES
};
const struct quota_rate quota_calls = {
        .max = QUOTA_CALLS_MAX, .per_sec = QUOTA_CALLS_PER_SEC, .debt_max = QUOTA_CALLS_MAX
};

static int64_t left_at(const struct quota_rate *rate, const struct quota *u, uint64_t now_usec)
{
        uint64_t passed_usec = now_usec > u->since_usec ? now_usec - u->since_usec : 0;

        if (passed_usec >= FULL_USEC)
                return rate->max;
        return MIN(rate->max, u->left + (int64_t) passed_usec * rate->per_sec / USEC_PER_SEC);
}

static const struct quota *find(const struct quotas *q, uid_t uid)
{
        for (size_t i = 0; i < q->n; i++)
                if (q->users[i].uid == uid)
                        return &q->users[i];
        return NULL;
}

int64_t quota_left(const struct quotas *q, uid_t uid, uint64_t now_usec)
{
        const struct quota *u = find(q, uid);

        return u ? left_at(q->rate, u, now_usec) : q->rate->max;
}

/* A place for @uid: whoever has most left is forgotten, and most often that is all of it. */
static struct quota *place_for(struct quotas *q, uid_t uid, uint64_t now_usec)
{
        struct quota *best = NULL;

        if (q->n < ELEMENTSOF(q->users))
                best = &q->users[q->n++];
        else
                for (size_t i = 0; i < q->n; i++)
                        if (!best || left_at(q->rate, &q->users[i], now_usec) >
                                             left_at(q->rate, best, now_usec))
                                best = &q->users[i];
        *best = (struct quota) { .uid = uid, .left = q->rate->max, .since_usec = now_usec };
        return best;
}

void quota_take(struct quotas *q, uid_t uid, int64_t n, uint64_t now_usec)
{
        struct quota *u = (struct quota *) find(q, uid);
        int64_t left;

        if (!u)
                u = place_for(q, uid, now_usec);
        left = left_at(q->rate, u, now_usec) - n;
        u->left = MAX(left, -q->rate->debt_max);
        u->since_usec = now_usec;
}
