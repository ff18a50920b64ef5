/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/schedule.h"
#include "shared/lookup.h"

uint64_t schedule_spread(const char *name, uint64_t interval_usec)
{
        return interval_usec > 0 ? hash_text(name) % interval_usec : 0;
}

void schedule_born(struct schedule *s, uint64_t born_usec)
{
        s->born_usec = MAX(s->born_usec, born_usec);
}

/* When nothing is the matter. */
static uint64_t regular(const struct schedule *s)
{
        uint64_t next = s->last_usec > 0 ? s->last_usec + s->interval_usec : s->begun_usec + s->spread_usec;
        uint64_t grown = s->born_usec + s->min_age_usec;

        /* Who was too young is looked at as soon as he is not. */
        return s->born_usec > 0 && grown > s->last_usec ? MIN(next, grown) : next;
}

/* Whether work that was due at @due_usec is to wait for the CPUs. */
static bool yields(const struct schedule *s, const struct conditions *c, uint64_t due_usec,
                   uint64_t now_usec)
{
        /* Memory is what this is for: its pressure outweighs that on the CPUs. */
        return c->cpu_pressure && !c->memory_pressure &&
               now_usec < due_usec + SCHEDULE_PATIENCE_INTERVALS * s->interval_usec;
}

uint64_t schedule_next(const struct schedule *s, const struct conditions *c, uint64_t now_usec)
{
        uint64_t next = regular(s);

        if (c->saving_power && !s->on_battery)
                return SCHEDULE_NEVER;
        if (c->memory_pressure && s->last_usec > 0)
                next = MIN(next, s->last_usec + s->interval_usec / SCHEDULE_HURRY_PART);
        else if (c->memory_pressure)
                next = s->begun_usec;
        if (next <= now_usec && yields(s, c, next, now_usec))
                return now_usec + SCHEDULE_RETRY_USEC;
        return MAX(next, now_usec);
}

uint64_t schedule_resume(const struct schedule *s, const struct conditions *c, uint64_t now_usec)
{
        if (c->saving_power && !s->on_battery)
                return SCHEDULE_NEVER;
        return yields(s, c, s->last_usec, now_usec) ? now_usec + SCHEDULE_RETRY_USEC : now_usec;
}

uint64_t schedule_yield_usec(unsigned n)
{
        uint64_t usec = n > 0 ? SCHEDULE_YIELD_MIN_USEC : 0;

        while (usec < SCHEDULE_YIELD_MAX_USEC && n > 1) {
                usec *= 2U;
                n--;
        }
        return MIN(usec, SCHEDULE_YIELD_MAX_USEC);
}

uint64_t schedule_slack_usec(uint64_t next_usec, uint64_t now_usec)
{
        return (next_usec - now_usec) / SCHEDULE_SLACK_PART;
}
