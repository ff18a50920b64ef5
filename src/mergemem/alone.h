/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"
#include "mergemem/options.h"

/* What the service has at hand for a job, without the service. Where the service runs, memory is merged
 * beside it through mergemod, which keeps its users apart; KSM is one for all, and the service's. */

/* Loads the configuration, takes the runtime directory where memory is to be merged, finds out what works
 * and starts the worker. 0 or -errno, logged. */
int alone_start(Manager *m, const struct options *o);
