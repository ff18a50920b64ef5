/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/account.h"
#include "daemon/registry.h"
#include "daemon/worker.h"

/* Counts anew, through the worker, what of a registry's memory is merged now. */

struct refresh {
        struct registry *registry;
        struct account *account;
        struct worker *worker;
        worker_done_t done;
        void *userdata;
        bool running, begun;
        size_t index;       /* into the registry */
        size_t first_range; /* of the process at hand */
        pid_t pid;          /* that the running call is about */
        uint64_t start_ticks;
        uint64_t merging_pages; /* of its ranges so far */
        uint64_t shared_frames; /* of all so far */
};

/* @done is called with 0 or an error of the worker, maybe before this returns. */
void refresh_start(struct refresh *r, struct registry *registry, struct account *account,
                   struct worker *worker, worker_done_t done, void *userdata);
void refresh_stop(struct refresh *r);
