/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"

/* The method Sharing: which frames of a process others map too. One pass over all processes, for one call at
 * a time. */

int sharing_get(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* Gives up all that wait. */
void sharing_done(Manager *m);
