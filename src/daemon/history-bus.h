/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"

/* Opens the state directory, reads what earlier services noted there, and takes samples from now on.
 * Without that directory the service goes on. Logs failures. */
int history_start(Manager *m);
/* The last sample. */
void history_stop(Manager *m);

/* The Manager's method. */
int history_get(sd_bus_message *m, void *userdata, sd_bus_error *error);
