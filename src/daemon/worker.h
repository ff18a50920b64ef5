/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "daemon/worker-io.h"

/* The one child process that touches foreign memory, from the outside. Calls wait in a queue; one
 * runs at a time. A worker that says nothing for WORKER_SILENCE_USEC is killed and replaced: a page
 * on a dead network file system can hold it for ever, and must not hold the service. */

#define WORKER_SILENCE_USEC (2U * 1000U * 1000U)
/* Setting KSM's knobs waits for a lock that ksmd holds while it scans a batch; it is nice, so on a busy
 * machine that takes its time, and another worker would wait for the same lock. */
#define WORKER_KSM_SILENCE_USEC (30U * 1000U * 1000U)

struct worker;

/* A row of the answer. Must not call worker functions. */
typedef void (*worker_row_t)(void *userdata, const union worker_packet *row);
/* The end of a call: 0, what the worker says, -ETIMEDOUT if it was killed for its silence, -EPIPE if
 * it died, -ECANCELED. May call again. */
typedef void (*worker_done_t)(void *userdata, int error);

/* Starts the child. The descriptors are borrowed. */
int worker_new(sd_event *event, int proc_fd, int state_fd, int ksm_fd, struct worker **ret);
struct worker *worker_free(struct worker *w);
DEFINE_CLEANUP_FUNC(struct worker *, worker_free)

/* Queues a call of what is in @packet, with a duplicate of @fd if that is not negative. 0 or -errno;
 * callbacks only follow after 0. */
int worker_call(struct worker *w, const union worker_packet *packet, int fd, worker_row_t row,
                worker_done_t done, void *userdata);

/* Calls of @userdata that wait are dropped without a word; if one runs, it is told to end and its
 * end is not reported either. */
void worker_forget(struct worker *w, void *userdata);

/* Asks the running call, if it is of @userdata, to end; unless it is done by then, that is with
 * -ECANCELED. */
void worker_cancel(struct worker *w, void *userdata);

/* Counts up when the child is replaced: what it knew is gone. */
unsigned worker_generation(const struct worker *w);

/* CPU time of the child and of its predecessors, nanoseconds. */
uint64_t worker_cpu_nsec(const struct worker *w);
pid_t worker_pid(const struct worker *w);
