/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"

/* The totals of the Manager, on the bus. */

/* The exact ones. */
struct totals totals_now(const Manager *m);

/* Something has changed: the properties follow, a minute after they did so the last time. */
void totals_changed(Manager *m);

/* The method Totals, and getters of properties; userdata is the Manager. */
int totals_get_all(sd_bus_message *m, void *userdata, sd_bus_error *error);
int totals_get_u64(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error);
int totals_get_u32(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error);
