/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ctl/selector.h"

/* A rule for all that a selector selects: the service's SetRule and TryRule. */

/* A name for it, made of what is selected. A new string, NULL if there is no memory. */
char *rule_name(const struct selector *s);

/* Appends the dictionary. -EINVAL, said: processes by number and all of them are nothing for a rule, and
 * names that are not UTF-8 cannot travel. */
int rule_append(const struct selector *s, sd_bus_message *m);
