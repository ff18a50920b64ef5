/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "ctl/output.h"

/* Each fills the table that goes with it from the reply of the method. */
int list_libraries_table(const struct output *out, sd_bus_message *m, struct table **ret);
int list_processes_table(const struct output *out, sd_bus_message *m, struct table **ret);
int list_jobs_table(const struct output *out, sd_bus_message *m, struct table **ret);
