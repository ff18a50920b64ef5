/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "run/layout.h"
#include "run/program.h"

/* Node.js places its heap by random numbers of its own. With one --random-seed=N for all processes of a
 * group their heaps are at the same place and the hashes in them alike; but so are the numbers that
 * Math.random() gives, which therefore is replaced by another, in a module that is loaded first. That is
 * in the same arguments, so that children get both or neither. */

/* @p: after program_examine(). Adds both to its arguments, and the module to NODE_OPTIONS if that names
 * others, which would be loaded earlier. 1; 0: it is not Node.js; and for the reason in *@f nothing is
 * added: -EEXIST: it has a seed already; -EPERM: it may not load the module; other -errno: there is no such
 * module that can be read. -ENOMEM. */
int node_apply(struct program *p, const uint8_t secret[LAYOUT_SECRET_BYTES], struct refusal *f);
