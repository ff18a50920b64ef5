/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "run/refusal.h"

/* What this process and this machine are like, as far as it decides about the layout. */

enum situation_randomize {
        SITUATION_FIXED = 0,    /* kernel.randomize_va_space: nothing */
        SITUATION_NO_HEAP = 1,  /* all but the heap */
        SITUATION_RANDOM = 2,
};

struct situation {
        uid_t ruid, euid;
        gid_t rgid, egid;
        uint64_t cap_permitted;
        uint64_t cap_root;     /* what executing a program gives to root: the bounding and inheritable set */
        bool no_root;          /* SECBIT_NOROOT: it gives nothing */
        unsigned long personality;
        int randomize;         /* kernel.randomize_va_space */
        bool legacy_layout;    /* vm.legacy_va_layout */
        int yama;              /* kernel.yama.ptrace_scope, 0 without Yama */
        pid_t tracer;          /* 0: nobody */
        bool children_apart;   /* the next child is the first process of another PID namespace */
        struct rlimit stack;
};

/* Asks the kernel; what /proc does not say is taken to be as usual. 0 or -errno. */
int situation_read(struct situation *ret);

/* Pure. 1: a program can get a layout, as far as it is known; 0: there is nothing to do, since the
 * kernel randomises nothing; -errno and *@f. */
int situation_judge(const struct situation *s, struct refusal *f);

/* Why a tracer may have been refused with EPERM: Yama, another tracer. */
void situation_explain_trace(const struct situation *s, struct refusal *f);
