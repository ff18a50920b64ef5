/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/selector.h"
#include "daemon/worker.h"

/* Lets the worker find the files and users that a selector names: either can hang on a network. */

struct resolve {
        struct worker *worker;
        struct selector *selector;
        size_t next;
        worker_done_t done;
        void *userdata;
};

/* @done is called with 0, -ESRCH if the value at @next is a user that does not exist, or another
 * error, maybe before this returns. What of a path is not found stays unknown. */
void resolve_start(struct resolve *r, struct worker *worker, struct selector *selector, worker_done_t done,
                   void *userdata);
void resolve_stop(struct resolve *r);
