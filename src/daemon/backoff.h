/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/macro.h"

/* Which processes are worth another look. One that gained nothing is looked at half as often each time, up
 * to a limit, and as often as ever once it changes. Time is counted in rounds, and who is looked at every
 * eighth round is so in rounds that are multiples of eight: processes that could only gain from each other
 * are then looked at together.
 *
 * Pure, and bounded: what there is no room for is looked at every time. */

/* Every 64th round at the least. */
#define BACKOFF_LEVEL_MAX 6U
/* 3 MiB when full; a machine with more processes than that is looked at more often than needed. */
#define BACKOFF_ENTRIES_MAX 65536U

struct backoff_entry {
        pid_t pid; /* 0: free */
        uint8_t level;
        bool seen; /* since the last sweep */
        uint64_t start_ticks;
        uint64_t family;     /* what newcomers have in common with it, such as the program */
        uint64_t group;      /* or this, such as the layout; 0: none */
        uint64_t size_bytes; /* of its private memory, when it was looked at */
        uint64_t next_round;
};

struct backoff {
        struct backoff_entry *entries; /* hashed, open addressing */
        size_t n_allocated;            /* 0 or a power of two */
        size_t n;
};

/* What is asked about: a process and how it is now. */
struct backoff_process {
        pid_t pid;
        uint64_t start_ticks;
        uint64_t family;
        uint64_t size_bytes;
        uint64_t group; /* 0: none */
};

void backoff_done(struct backoff *b);

/* Whether a look at @p is due in @round. One that is not known, or grew or shrank by more than an eighth,
 * is. Marks it as seen. */
bool backoff_due(struct backoff *b, const struct backoff_process *p, uint64_t round);

/* Whether @p was ever looked at. */
bool backoff_knows(const struct backoff *b, const struct backoff_process *p);

/* It was looked at in @round, and that has @gained something or not. 0, or -ENOMEM; -ENOBUFS when full. */
int backoff_looked(struct backoff *b, const struct backoff_process *p, uint64_t round, bool gained);

/* @newcomers have come to their families and groups: those they could gain with are looked at in @round
 * once, and then as often as before. 0 or -ENOMEM: they wait for their time. */
int backoff_wake(struct backoff *b, const struct backoff_process *newcomers, size_t n, uint64_t round);

/* Forgets who was not seen since the last sweep. */
void backoff_sweep(struct backoff *b);
