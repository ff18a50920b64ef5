/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "daemon/selector.h"

/* Reads a selector, the dictionary of Merge and the others, off @m into the empty @ret. On failure
 * @error says which entry is wrong, and @ret stays empty. */
int selector_read(sd_bus_message *m, struct selector *ret, sd_bus_error *error);
