/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/procfs.h"

/* Opens process @pid that began at @start_ticks once more. 0; -ESRCH if it has ended, or, with @only_own, is
 * not one any more that user @uid may be told of: policy_own_memory_is_told(); -errno. */
int process_reopen(int proc_fd, pid_t pid, uint64_t start_ticks, bool only_own, uid_t uid,
                   struct mm_process *ret);
