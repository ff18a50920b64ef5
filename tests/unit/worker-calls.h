/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/worker.h"
#include "test-util.h"

/* A real worker process, and calls to it that wait for the end. It has no KSM to drive. */

struct worker_calls {
        sd_event *event;
        struct worker *worker;
        int proc_fd, state_fd;
        char *tree;
};

void worker_calls_open(struct worker_calls *c);
void worker_calls_close(struct worker_calls *c);

/* What became of one call. */
struct outcome {
        GPtrArray *rows; /* union worker_packet, without progress marks */
        unsigned n_ends; /* 1 once it has ended */
        int error;
        unsigned *order; /* counts ends; may be NULL */
        unsigned place;  /* among them */
};

void outcome_done(struct outcome *o);
/* The first row of @type, or NULL. */
const union worker_packet *outcome_row(const struct outcome *o, uint32_t type);
unsigned outcome_count(const struct outcome *o, uint32_t type);

/* Queues a call; @o must be zero and is filled by the event loop. */
void call_start(struct worker_calls *c, const union worker_packet *p, int fd, struct outcome *o);
void call_wait(struct worker_calls *c, struct outcome *o);
/* Both; @o is emptied before and may be NULL. Returns the error. */
int call(struct worker_calls *c, const union worker_packet *p, int fd, struct outcome *o);

/* The simplest call: has a row WORKER_ROW_RESOLVED. */
void packet_resolve(union worker_packet *p, enum worker_resolve_kind kind, const char *text);
