/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"

/* Connections that may know of everybody's jobs and want to. */

#define SUBSCRIBERS_MAX 64U

/* Methods of the Manager, whom userdata is. */
int subscriber_add(sd_bus_message *m, void *userdata, sd_bus_error *error);
int subscriber_remove(sd_bus_message *m, void *userdata, sd_bus_error *error);

bool subscriber_is(const Manager *m, const char *name);
const char *subscriber_first(const Manager *m);
const char *subscriber_next(const Manager *m);
