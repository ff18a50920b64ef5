/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"

/* Connections that may know of everybody's jobs and want to, until they end. */

/* Methods of the Manager, whom userdata is. */
int subscriber_add(sd_bus_message *m, void *userdata, sd_bus_error *error);
int subscriber_remove(sd_bus_message *m, void *userdata, sd_bus_error *error);
void subscribers_done(Manager *m);

bool subscriber_is(const Manager *m, const char *name);
/* The @i-th of m->n_subscribers. */
const char *subscriber_name(const Manager *m, size_t i);
