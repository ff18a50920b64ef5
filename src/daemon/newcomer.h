/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

/* Processes that the service is told of when they start, since they ask for a layout. Others are found by
 * the next turn of their rule, which can be far; for these the rule has one as soon as they are old enough,
 * and the workers of a group, which start together, are then looked at together. */

typedef struct Manager Manager;

/* More than that at a time are found by the next turn too. */
#define NEWCOMERS_MAX 1024U

struct newcomer {
        pid_t pid;
        uint64_t start_ticks;
        unsigned n_tries;
};

struct newcomers {
        struct newcomer items[NEWCOMERS_MAX]; /* the oldest first */
        size_t n;
        sd_event_source *timer;
};

void newcomer_add(Manager *m, pid_t pid, uint64_t start_ticks);
void newcomers_done(struct newcomers *n);
