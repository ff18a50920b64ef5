/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "lib/procfs.h"

/* Which process is at the other end of a connection. */

/* What the bus knows of it: its answer to GetConnectionCredentials. */
struct layout_caller {
        uid_t uid;
        pid_t pid;  /* of who connected, which may have ended since */
        int pid_fd; /* the very process, from buses that tell; else negative; owned */
};

/* 0; -ENXIO if user or process are not in it; -errno. */
int layout_caller_read(sd_bus_message *reply, struct layout_caller *ret);

/* Opens the process. With a number alone it is whoever has that number now, if he is of the same user: his
 * unit may be another one of that user then, and is never another user's. 0; -ESRCH; -errno. */
int layout_caller_open(int proc_fd, const struct layout_caller *c, struct mm_process *ret);
