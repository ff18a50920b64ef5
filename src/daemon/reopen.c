/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/policy.h"
#include "daemon/reopen.h"

int process_reopen(int proc_fd, pid_t pid, uint64_t start_ticks, bool only_own, uid_t uid,
                   struct mm_process *ret)
{
        struct mm_process p = MM_PROCESS_NULL;
        int r;

        r = mm_process_open(proc_fd, pid, false, &p);
        if (r < 0)
                return r;
        if (p.start_ticks != start_ticks || (only_own && !policy_own_memory_is_told(&p, uid))) {
                mm_process_done(&p);
                return -ESRCH;
        }
        *ret = p;
        return 0;
}
