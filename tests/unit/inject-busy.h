/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "inject-target.h"

/* A target of many threads that never rest and check everything that they are given; and another
 * process that sends it signals with numbers, each of which has to arrive once. @killed: injectors
 * will be killed, so calls with a timeout may end with EINTR. */
void busy_start(struct target *t, bool killed);

/* Ends both, and counts the signals. */
void busy_finish(struct target *t);
