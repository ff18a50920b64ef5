/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* Connects to a message bus: "system", "session", or that at @address, as sd_bus_set_address(3) takes it. 0
 * or -errno. */
int bus_open(const char *address, sd_bus **ret);

/* Opens an entry @key of a dictionary a{sv} that is open in @m, whose value is an array of @type, for what
 * is appended from now on; and closes it. Negative on failure. */
int bus_open_array(sd_bus_message *m, const char *key, const char *type);
int bus_close_array(sd_bus_message *m);
