/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"

/* The method Explain: what the service thinks of one process, and why. */

int explain_process(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* Who asked for it. */
uid_t explaining_uid(const struct explaining *e);
/* Gives up all that wait. */
void explain_done(Manager *m);
