/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "run/layout.h"

/* Interpreters seed their hash tables at random, and what is in them lies in the order of the
 * hashes. With one seed for all processes of a group they lie alike. The seed is made from the
 * group's secret: known to others it would let them choose keys that collide. */

#define HASH_VALUE_MAX 40U

struct hash_setting {
        const char *variable;
        const char *runtime; /* that looks at it */
        /* Writes the value, at most HASH_VALUE_MAX bytes with the NUL. */
        void (*value)(const uint8_t secret[LAYOUT_SECRET_BYTES], char *ret);
};
extern const struct hash_setting hash_settings[];
extern const size_t hash_settings_size;

/* Puts all of them into the environment; what is there already stays. 0 or -ENOMEM. */
int hash_apply(const uint8_t secret[LAYOUT_SECRET_BYTES]);

/* What Node.js takes as --random-seed=N, on its command line, where everybody sees it: 1 to 2147483647. */
uint32_t hash_node_seed(const uint8_t secret[LAYOUT_SECRET_BYTES]);
