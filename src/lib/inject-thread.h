/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/maps.h"

/* Which thread of a process to make the call with. Any of them will do, so it is one that the
 * interruption harms least, and whose stack is surely its own. */

enum {
        MM_INJECT_RUNNING = -2, /* not asleep: in its own code or on the way through a system call */
        MM_INJECT_NO_CALL = -1, /* asleep, but in no system call: a page fault */
};

struct mm_inject_thread {
        pid_t tid;
        char state;    /* letter of /proc/PID/task/TID/stat */
        bool unusable; /* a worker of the kernel that never runs the program's code, or on its way out */
        int64_t call;  /* number of the system call it is in, or MM_INJECT_* */
        uint64_t args[4];
        uint64_t sp; /* 0: not known, it runs */
        unsigned rank;
};

#define MM_INJECT_RANK_UNUSABLE 100U

/* The smaller the better. */
unsigned mm_inject_thread_rank(const struct mm_inject_thread *t);

/* /proc/PID/task/TID/stat and syscall, as text. 0 or -EINVAL. */
int mm_inject_thread_parse_stat(const char *text, struct mm_inject_thread *t);
int mm_inject_thread_parse_syscall(const char *text, struct mm_inject_thread *t);

/* All threads (of a process with very many, the first ones), the best first; for equals their order
 * in the directory. 0, -ESRCH, -ENOMEM, -errno. */
int mm_inject_threads_read(int process_fd, struct mm_inject_thread **ret, size_t *ret_n);

/* Whether @sp lies on a stack that the thread got from the kernel or from its C library, with @room
 * mapped bytes below: the first thread's [stack], or an area that begins behind a guard and has the
 * thread's own block, where @fs_base points, above @sp. @fs_base 0: not known yet, that much is
 * believed. Stacks of coroutines, alternate signal stacks and the like do not pass. */
bool mm_inject_stack_fits(const struct mm_areas *areas, uint64_t sp, uint64_t fs_base, uint64_t room);
