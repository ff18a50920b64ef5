/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "ctl/output.h"

/* The table of a reply whose rows, structs of @type, @add reads one by one. */
int list_rows(const struct output *out, const char *key, const struct column *columns, size_t n_columns,
              sd_bus_message *m, const char *type, int (*add)(sd_bus_message *m, struct table *t),
              struct table **ret);

/* The table, or a JSON object that has it. */
int list_print(const struct output *out, struct table *t);

/* Each fills the table that goes with it from the reply of the method. */
int list_libraries_table(const struct output *out, sd_bus_message *m, struct table **ret);
int list_processes_table(const struct output *out, sd_bus_message *m, struct table **ret);
int list_cgroups_table(const struct output *out, sd_bus_message *m, struct table **ret);
int list_owners_table(const struct output *out, sd_bus_message *m, struct table **ret);
int list_rules_table(const struct output *out, sd_bus_message *m, struct table **ret);
int list_settings_table(const struct output *out, sd_bus_message *m, struct table **ret);
int list_jobs_table(const struct output *out, sd_bus_message *m, struct table **ret);
