/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"

/* The method Pages: the pages of one process, as runs. Each call is one slice of the worker's time; whoever
 * wants more calls again. */

int pages_get(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* Who is to be answered. */
uid_t paging_uid(const struct paging *p);
/* Gives up all that wait. */
void pages_done(Manager *m);
