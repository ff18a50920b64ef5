/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"
#include "mergemem/options.h"

/* One job of the service's after the other, until there is no more to do or a signal ends it. */

/* Returns an exit status. */
int rounds_run(Manager *m, const struct options *o);
