/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ctl/verb-list.h"

/* From the reply to History. */
int history_table(const struct output *out, sd_bus_message *m, struct table **ret);
