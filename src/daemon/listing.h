/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"
#include "daemon/selector.h"

/* Answers to ListProcesses and ListLibraries, made while jobs go on. */

/* Takes over @s. The call @m is answered later. 0, -ENOBUFS if too many are under way, -errno. */
int listing_new(Manager *manager, bool libraries, struct selector *s, sd_bus_message *m);
struct listing *listing_free(struct listing *l);
