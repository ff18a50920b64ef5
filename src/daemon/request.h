/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* Handlers of the Manager's methods that take a selector or give its jobs: who asks decides what of it
 * he gets. Userdata is the Manager. */

/* Merge, Unmerge, Estimate, Scan */
int request_job(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* ListProcesses, ListLibraries, ListOwners, ListCgroups, Memory */
int request_list(sd_bus_message *m, void *userdata, sd_bus_error *error);
int request_list_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error);
