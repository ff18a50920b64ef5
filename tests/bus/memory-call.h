/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client.h"

/* What Memory answers. */

/* In bytes, but for the last two. */
struct usage {
        uint64_t rss, pss, uss, swap, ksm;
        uint32_t processes, unread;
};

/* The answer, or NULL and @error. */
sd_bus_message *memory_call(sd_bus *bus, const struct what *what, const char *by, sd_bus_error *error);
/* The row of process @pid, or that whose name ends in @name, or, if both are not given, the sum of all.
 * Returns how many rows there are. */
size_t memory_row(sd_bus *bus, const struct what *what, const char *by, pid_t pid, const char *name,
                  struct usage *ret);
