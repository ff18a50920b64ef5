/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ctl/unit.h"

/* The drop-in that has a service started by mergemem-run(1). */

#define LAYOUT_DROP_IN "50-mergemem-layout.conf"

struct layout_drop_in_options {
        const char *launcher; /* path of mergemem-run */
        bool stable_hash, ksm, fallback;
};

/* What it has to say for @u, which was read without it. *@ret_notes: sentences for the user about what
 * else it sets or cannot help, one a line, "" if there are none. 0 and new strings; -EOPNOTSUPP, logged,
 * where it could not work; -ENOMEM. */
int layout_drop_in(const struct unit *u, const struct layout_drop_in_options *o, char **ret,
                   char **ret_notes);
