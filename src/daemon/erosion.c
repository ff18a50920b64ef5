/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/erosion.h"
#include "shared/macro.h"

#define NSEC_PER_SEC 1e9
#define USEC_PER_SEC 1e6

double erosion_cost_byte_seconds(const struct erosion *e)
{
        double share = e->n_lost < e->n_merged ? e->n_lost / e->n_merged : 1;

        return (e->cpu_nsec * share + e->n_lost * EROSION_COPY_NSEC) / NSEC_PER_SEC *
               (double) EROSION_BYTES_PER_CORE;
}

static void begin(struct erosion *e, uint64_t now_usec)
{
        e->gained_byte_seconds = e->n_merged = e->n_lost = e->cpu_nsec = 0;
        e->halved_usec = now_usec;
}

static void forget_half(struct erosion *e, uint64_t now_usec)
{
        /* After so long nothing is left to be halved. */
        if (now_usec - e->halved_usec >= 64U * EROSION_HALF_LIFE_USEC)
                begin(e, now_usec);
        while (now_usec - e->halved_usec >= EROSION_HALF_LIFE_USEC) {
                e->halved_usec += EROSION_HALF_LIFE_USEC;
                e->gained_byte_seconds /= 2;
                e->n_merged /= 2;
                e->n_lost /= 2;
                e->cpu_nsec /= 2;
        }
}

static uint64_t growth(uint64_t now, uint64_t before)
{
        return now > before ? now - before : 0;
}

static void add(struct erosion *e, uint64_t now_usec, const struct erosion_sample *s)
{
        /* What was lost in between was lost right away, as far as is known. */
        uint64_t held = MIN(s->saved_bytes, e->before.saved_bytes);

        forget_half(e, now_usec);
        e->gained_byte_seconds += (double) held * (double) (now_usec - e->sampled_usec) / USEC_PER_SEC;
        e->n_merged += (double) growth(s->n_merged, e->before.n_merged);
        e->n_lost += (double) growth(s->n_lost, e->before.n_lost);
        e->cpu_nsec += (double) growth(s->cpu_nsec, e->before.cpu_nsec);
}

/* What is lost while the rule rests belongs to the verdict that was given. */
static void take(struct erosion *e, uint64_t now_usec, const struct erosion_sample *s)
{
        if (e->sampled_usec == 0 || erosion_rests(e, now_usec))
                begin(e, now_usec);
        else
                add(e, now_usec, s);
        e->before = *s;
        e->sampled_usec = now_usec;
}

bool erosion_judge(struct erosion *e, uint64_t now_usec, const struct erosion_sample *s)
{
        now_usec = MAX(now_usec, e->sampled_usec);
        take(e, now_usec, s);
        if (erosion_rests(e, now_usec))
                return false;
        if (e->n_lost < EROSION_LOST_MIN || e->gained_byte_seconds >= erosion_cost_byte_seconds(e)) {
                /* As long without erosion as the last rest took: the next one is short again. */
                if (now_usec - e->rest_until_usec >= e->rest_usec)
                        e->rest_usec = 0;
                return false;
        }
        e->rest_usec = e->rest_usec == 0 ? EROSION_REST_MIN_USEC
                                         : MIN(e->rest_usec * 2U, EROSION_REST_MAX_USEC);
        e->rest_until_usec = now_usec + e->rest_usec;
        begin(e, now_usec);
        return true;
}

bool erosion_rests(const struct erosion *e, uint64_t now_usec)
{
        return now_usec < e->rest_until_usec;
}
