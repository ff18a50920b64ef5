/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ctl/options.h"
#include "ctl/result.h"

/* How a verb shows what its job did. Returns a negative errno if it could not. */
typedef int (*job_print_t)(const struct options *o, const struct output *out,
                           const struct job_status *status);

/* Has the service do @method with the command line's selector, shows progress, cancels the job if
 * the user wants to stop, and prints what was done, as far as it got. Returns an exit status. */
int job_verb(const struct options *o, const char *method, job_print_t print);
/* The same with another @call, whose @bus it takes over. */
int job_follow(const struct options *o, sd_bus *bus, sd_bus_message *call, job_print_t print);
