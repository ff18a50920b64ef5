/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "ctl/output.h"

/* Layout groups, as the service's Layouts tells of them. */

struct layout_row {
        const char *name; /* belongs to the message */
        uint32_t uid;
        bool unit;
        uint64_t drawn_usec, last_usec; /* since 1970; the latter 0: never handed out */
        uint64_t n_given;
        uint64_t n_processes;
        bool more; /* there were others besides */
};

/* The next row of the array that was entered. 1; 0 at its end; -errno. */
int layout_row_read(sd_bus_message *m, struct layout_row *ret);

/* All of the reply, or those of @uid if that is not NULL. */
int layouts_table(const struct output *out, sd_bus_message *m, const uint32_t *uid, struct table **ret);
