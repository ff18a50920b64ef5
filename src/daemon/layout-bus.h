/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

typedef struct Manager Manager;

/* Handlers of the Manager's methods about layout groups. Userdata is the Manager. */

/* LayoutSecret: which group that is, if it has no name, and whose it is, is found out here. */
int layout_bus_secret(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* Layouts */
int layout_bus_list(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* RotateLayout */
int layout_bus_rotate(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* Whoever still waits for a secret gets no answer. */
void layout_bus_done(Manager *m);

/* What they have in common: whether @uid may call once more, which he then has; what is said of a bad
 * name. */
int layout_bus_limit(Manager *m, uid_t uid, sd_bus_error *error);
int layout_bus_bad_name(sd_bus_error *error);
