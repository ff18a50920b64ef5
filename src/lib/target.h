/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/context.h"
#include "lib/procfs.h"

/* A target from the inside: a process, and its memory as it was when it was first looked at. */

/* Addresses of private anonymous memory. */
struct mm_span {
        uint64_t start, end;
};

struct mm_target {
        unsigned n_ref;
        struct mm_ctx *ctx;      /* owned */
        struct mm_target *next;  /* of the context's */
        struct mm_process process;
        struct mm_pagemap *pagemap; /* NULL: not opened yet */
        int mem_fd;
        uint32_t attached; /* its number with mergemod; 0: none yet */
        bool met;          /* mergemod has found its memory there */
        bool gone;         /* and later has not */

        struct mm_span *spans;
        size_t n_spans;
        bool spans_filtered; /* without what is refused */
        uint64_t spans_next; /* a walk that goes on here need not read them again */
};
DEFINE_CLEANUP_FUNC(struct mm_target *, mm_target_unref)

/* A target of which nothing is wanted but its memory: no user, program or domain is known. */
int mm_target_new_briefly(struct mm_ctx *ctx, pid_t pid, struct mm_target **ret);

/* Opens pagemap and mem. 0, -ESRCH, -EACCES, ... */
int mm_target_open_memory(struct mm_target *t);

/* Reads the spans. With @refused those in which mergemod merges nothing are left out; it says so itself. */
int mm_target_read_spans(struct mm_target *t, bool refused);

/* A call of mergemod for the target, by its number there. */
typedef int (*mm_target_call_t)(struct mm_device *device, uint32_t target, void *argument);

/* Makes the call; the target is attached before if it is not yet. -ENOPKG without the module; -EPERM,
 * -ESRCH, ...; what the call returned. */
int mm_target_call(struct mm_target *t, mm_target_call_t call, void *argument);

/* Its number with mergemod, where its memory was found. For calls with several targets, after which
 * mm_target_forget_number() hears of those that are gone. */
int mm_target_meet(struct mm_target *t, struct mm_device **ret_device, uint32_t *ret);

/* Mergemod says -ESRCH of it, whosever it was. */
void mm_target_forget_number(struct mm_ctx *ctx, uint32_t number);
