/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "daemon/worker-protocol.h"

/* The dictionaries of Pages and Sharing. */

/* Of one answer, which many may ask for at a time. */
#define PAGES_RUNS_MAX 16384U
#define PAGES_BYTES_MAX (2U * 1024U * 1024U)

struct pages_options {
        uint64_t from, to; /* addresses, of whole pages */
        uint32_t max_runs;
        const char *owner; /* "": everybody's; belongs to the message */
        struct mm_flag_filter filters[WORKER_FLAG_FILTERS_MAX];
        uint32_t n_filters;
        bool others; /* who is not root wants to be told all */
};

/* Reads them off @m, of Pages, or with @range_only of Sharing. On failure @error says which entry is
 * wrong. */
int pages_options_read(sd_bus_message *m, bool range_only, struct pages_options *ret, sd_bus_error *error);

/* Whether the conditions are about what a process's own user is told: MM_FLAGS_OF_USERS. */
bool pages_options_are_for_users(const struct pages_options *o);
