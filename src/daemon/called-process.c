/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/called-process.h"
#include "shared/names.h"

int called_process_is_gone(pid_t pid, sd_bus_error *error)
{
        return sd_bus_error_setf(error, MERGEMEM_ERROR_NO_SUCH_PROCESS, "There is no process %d.", pid);
}

int called_process_read(const Manager *manager, sd_bus_message *m, struct mm_process *ret,
                        sd_bus_error *error)
{
        uint32_t pid;
        int r;

        r = sd_bus_message_read(m, "u", &pid);
        if (r < 0)
                return r;
        if (pid == 0 || pid > INT32_MAX || mm_process_open(manager->proc_fd, (pid_t) pid, false, ret) < 0)
                return called_process_is_gone((pid_t) pid, error);
        return 0;
}
