/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "ctl/options.h"

/* All of these return an exit status; what went wrong has been said when it is not
 * MERGEMEM_EXIT_DONE. */

int bus_connect(const struct options *o, sd_bus **ret);

/* A call of the manager's @method, without argument if @what is NULL. */
int manager_call_new(sd_bus *bus, const char *method, const struct selector *what, sd_bus_message **ret);
/* Sends @call and waits for the reply. */
int bus_call(sd_bus *bus, sd_bus_message *call, sd_bus_message **ret);

/* Which exit status an error stands for: by its D-Bus name, or the negative errno @r if that is NULL. */
int bus_error_status(const char *name, int r);
/* Says it in one line. */
int bus_error_report(const sd_bus_error *e, int r);
/* For replies that are not what dbus/ promises. */
int bus_bad_reply(int r);
