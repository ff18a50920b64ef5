/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"
#include "lib/procfs.h"

/* The process that a call is about. */

/* Takes its pid off @m. 0; NoSuchProcess in @error, or another -errno. */
int called_process_read(const Manager *manager, sd_bus_message *m, struct mm_process *ret,
                        sd_bus_error *error);

/* Sets @error, and returns what a method handler then does. */
int called_process_is_gone(pid_t pid, sd_bus_error *error);
