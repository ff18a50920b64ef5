/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "daemon/report.h"

/* What a round has found and done, as lines of a name and a figure.
 *
 * Stacks are a line of their own: all other figures are those of an estimate of the service's, which leaves
 * stacks alone. */

/* @stacks: they were looked at. @merge: it was not a dry run. */
void statistics_print(FILE *f, const struct report *r, bool stacks, bool merge);
