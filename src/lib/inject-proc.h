/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <dirent.h>

#include "lib/inject.h"

/* What /proc says of a target before and while it is held. */

#define MM_INJECT_TEXT_MAX 4096U

/* File @name of thread @tid as text with a NUL behind; what does not fit is cut. 0 or -errno. */
int mm_inject_proc_read_task(int process_fd, pid_t tid, const char *name, char text[MM_INJECT_TEXT_MAX]);
int mm_inject_proc_open_tasks(int process_fd, DIR **ret);

/* Whether a thread with this status file may be touched: MM_INJECT_OK, _TRACED, _SECCOMP, or
 * _NO_PLACE if it has a shadow stack, which a made-up signal frame would contradict. */
enum mm_inject_result mm_inject_judge_status(const char *status);

/* Whether some signal waits that the mask of the thread does not hold back. */
bool mm_inject_signals_wait(const char *status);

/* Whether an auxiliary vector (getauxval(3)) is that of a 64-bit program. */
bool mm_inject_auxv_is_64bit(const uint8_t *auxv, size_t size);

/* Looks at all that can be known beforehand. @ret_error: errno of MM_INJECT_FAILED. */
enum mm_inject_result mm_inject_examine(const struct mm_process *p, int *ret_error);
