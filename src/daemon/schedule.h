/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* When a rule is due. Pure: what time it is, and how the machine fares, is the caller's to say. */

#define SCHEDULE_NEVER UINT64_MAX

/* How much of the time until a turn the kernel may add, to wake up once for several timers. */
#define SCHEDULE_SLACK_PART 8U
/* Under memory pressure rules come four times as often. */
#define SCHEDULE_HURRY_PART 4U
/* Work that is due waits so many intervals for the CPUs to be free, and is done then nevertheless: a machine
 * that is always busy would never be looked at. */
#define SCHEDULE_PATIENCE_INTERVALS 8U
/* How long until pressure is looked at again. */
#define SCHEDULE_RETRY_USEC (5ULL * 1000U * 1000U)

/* How the machine fares. */
struct conditions {
        bool saving_power; /* on battery, or told to save power */
        bool cpu_pressure;
        bool memory_pressure;
};

struct schedule {
        /* What the rule says. */
        uint64_t interval_usec;
        uint64_t min_age_usec;
        bool on_battery; /* also when saving power */

        uint64_t begun_usec;  /* when the rule came into force */
        uint64_t spread_usec; /* so much later is its first turn: see schedule_spread() */
        uint64_t last_usec;   /* when its last turn began; 0: none yet */
        uint64_t born_usec;   /* of the youngest process known that is too young; 0: none */
};

/* There is a process, born then, that is to be looked at as soon as it is old enough. */
void schedule_born(struct schedule *s, uint64_t born_usec);

/* Where in its interval the rule @name begins, so that rules do not all come at once. The same for the same
 * name and interval. */
uint64_t schedule_spread(const char *name, uint64_t interval_usec);

/* When its next turn is, or SCHEDULE_NEVER while power is saved; what has passed means now. */
uint64_t schedule_next(const struct schedule *s, const struct conditions *c, uint64_t now_usec);

/* When work of a turn that is under way may go on: @now_usec, later, or SCHEDULE_NEVER. */
uint64_t schedule_resume(const struct schedule *s, const struct conditions *c, uint64_t now_usec);

/* A turn that had to make way for users' requests @n times goes on for so long before it does so again: not
 * at all the first time, then twice as long each time, so that it ends however often they ask. */
#define SCHEDULE_YIELD_MIN_USEC (1000ULL * 1000U)
#define SCHEDULE_YIELD_MAX_USEC (3600ULL * 1000U * 1000U)
uint64_t schedule_yield_usec(unsigned n);

/* By how much a timer may be late that is set @now_usec for @next_usec. */
uint64_t schedule_slack_usec(uint64_t next_usec, uint64_t now_usec);
