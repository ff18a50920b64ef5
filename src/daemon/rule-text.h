/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "shared/conf.h"

/* Rules as they come over the bus: a dictionary from keys of [Rule NAME] to "as" for patterns, to "s" for
 * all others. */

/* The next argument of @m as the text of a drop-in. Fails with @error set. */
int rule_text_read(sd_bus_message *m, const char *name, char **ret, sd_bus_error *error);

/* Whether such a text is a rule by itself; *@ret then has it behind the default one. Nothing is logged,
 * whoever may have sent it. Fails with @error set. */
int rule_text_parse(const char *text, struct conf *ret, sd_bus_error *error);
