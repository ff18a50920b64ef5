/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/quota.h"
#include "shared/macro.h"

#define USEC_PER_SEC INT64_C(1000000)
/* From any debt that can be made it is full again by then. */
#define FULL_USEC (UINT64_C(3600) * USEC_PER_SEC)

static int64_t pages_at(const struct quota *u, uint64_t now_usec)
{
        uint64_t passed_usec = now_usec > u->since_usec ? now_usec - u->since_usec : 0;

        if (passed_usec >= FULL_USEC)
                return QUOTA_PAGES_MAX;
        return MIN(QUOTA_PAGES_MAX,
                   u->pages + (int64_t) passed_usec * QUOTA_PAGES_PER_SEC / USEC_PER_SEC);
}

static const struct quota *find(const struct quotas *q, uid_t uid)
{
        for (size_t i = 0; i < q->n; i++)
                if (q->users[i].uid == uid)
                        return &q->users[i];
        return NULL;
}

uint64_t quota_left(const struct quotas *q, uid_t uid, uint64_t now_usec)
{
        const struct quota *u = find(q, uid);
        int64_t pages = u ? pages_at(u, now_usec) : QUOTA_PAGES_MAX;

        return (uint64_t) MAX(pages, INT64_C(0));
}

/* A place for @uid: whoever has most left is forgotten, and most often that is all of it. */
static struct quota *place_for(struct quotas *q, uid_t uid, uint64_t now_usec)
{
        struct quota *best = NULL;

        if (q->n < ELEMENTSOF(q->users))
                best = &q->users[q->n++];
        else
                for (size_t i = 0; i < q->n; i++)
                        if (!best || pages_at(&q->users[i], now_usec) > pages_at(best, now_usec))
                                best = &q->users[i];
        *best = (struct quota) { .uid = uid, .pages = QUOTA_PAGES_MAX, .since_usec = now_usec };
        return best;
}

void quota_take(struct quotas *q, uid_t uid, int64_t pages, uint64_t now_usec)
{
        struct quota *u = (struct quota *) find(q, uid);
        int64_t left;

        if (!u)
                u = place_for(q, uid, now_usec);
        left = pages_at(u, now_usec) - pages;
        u->pages = MAX(left, -QUOTA_PENALTY_PAGES);
        u->since_usec = now_usec;
}
