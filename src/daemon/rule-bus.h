/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* Handlers of the Manager's methods about the configuration. Userdata is the Manager. */

int rule_bus_list(sd_bus_message *m, void *userdata, sd_bus_error *error);
int rule_bus_list_settings(sd_bus_message *m, void *userdata, sd_bus_error *error);
int rule_bus_set(sd_bus_message *m, void *userdata, sd_bus_error *error);
int rule_bus_remove(sd_bus_message *m, void *userdata, sd_bus_error *error);
int rule_bus_try(sd_bus_message *m, void *userdata, sd_bus_error *error);
int rule_bus_reload(sd_bus_message *m, void *userdata, sd_bus_error *error);
