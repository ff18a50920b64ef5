/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"
#include "fuzz.h"

/* A thread that calls the device with arguments at random. The arrays end where memory ends. */
struct fuzz_caller {
        struct fuzz_board *board;
        struct random random;
        unsigned long n_calls;
        int cgroup_fd;
        struct mergemod_element *elements;
        struct mergemod_page *pages;
        struct mergemod_range *ranges;
        void *read_only;
        union {
                struct mergemod_info info;
                struct mergemod_attach attach;
                struct mergemod_target target;
                struct mergemod_scan scan;
                struct mergemod_merge merge;
                struct mergemod_ranges ranges;
                struct mergemod_stats stats;
                uint64_t words[64];
        } argument;
};

struct fuzz_kind {
        const char *name;
        /* 0: any number. */
        unsigned long request;
        void (*make)(struct fuzz_caller *caller);
        unsigned weight;
        /* Where a pointer is in the argument, -1 if there is none. */
        int pointer;
};

#define FUZZ_KINDS 12
extern const struct fuzz_kind fuzz_kinds[FUZZ_KINDS];

/* Memory for the arrays. */
void fuzz_caller_init(struct fuzz_caller *caller);

/* Makes the argument of a call, mostly one that passes the checks. Its kind. */
unsigned fuzz_make(struct fuzz_caller *caller, unsigned long *ret_request);
