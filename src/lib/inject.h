/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "lib/procfs.h"

/* madvise(2) on behalf of another process, by ptrace(2). x86-64 only. */

struct mm_advice {
        uint64_t start, end; /* bytes, page-aligned */
        int advice;          /* MADV_MERGEABLE or MADV_UNMERGEABLE, nothing else */
        int status;          /* out: 0 done, 1 not reached, negative errno of madvise() */
        uint64_t done;       /* out: bytes for which it was done */
};

/* Why a target is left alone; distinct from errnos of system calls only in where they stand. */
enum mm_inject_result {
        MM_INJECT_OK = 0,
        MM_INJECT_GONE,      /* it ended, or is another process now */
        MM_INJECT_TRACED,    /* somebody traces it already */
        MM_INJECT_SECCOMP,   /* a filter might kill it for the call */
        MM_INJECT_NAMESPACE, /* another user namespace */
        MM_INJECT_BITS,      /* not a 64-bit process, or not x86-64 */
        MM_INJECT_STOPPED,   /* stopped by job control or frozen, or does not stop within the time */
        MM_INJECT_NO_PLACE,  /* no thread on a stack that is surely its own, or no return path in its code */
        MM_INJECT_BUSY,      /* signals kept coming, or it stood where no return is possible */
        MM_INJECT_FAILED,    /* the system refused: see the error */
        MM_INJECT_RESULT_MAX_
};
const char *mm_inject_result_name(enum mm_inject_result r);

/* Whether this was built for a machine on which it can be done at all. */
bool mm_inject_is_possible(void);

/* Lets @p call madvise() for each of the @n @advices, in slices, in a process of its own that
 * outlives the caller. Blocks until that process is done, at most about @timeout_msec.
 *
 * Parts of an advice where no area is any more, or one that must not be touched, are passed over;
 * its status is then -ENOMEM or -EAGAIN and @done counts the rest. MM_INJECT_OK with a status of 1
 * is a timeout: what remains can be asked for again.
 *
 * @ret_error: negative errno behind MM_INJECT_FAILED; may be NULL. @ret_stop_usec: the longest time
 * that a thread of the target was held; may be NULL. Both are always set. */
enum mm_inject_result mm_inject_advise(const struct mm_process *p, struct mm_advice *advices, size_t n,
                                       unsigned timeout_msec, int *ret_error, uint64_t *ret_stop_usec);
