/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* Connects to a message bus: "system", "session", or that at @address, as sd_bus_set_address(3) takes it. 0
 * or -errno. */
int bus_open(const char *address, sd_bus **ret);
