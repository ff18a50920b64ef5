/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* What a program computes, as the interface defines it: of a page with a seed. */
typedef uint64_t (*hash_function)(const void *page, uint64_t seed);

struct hash {
        const char *name;
        /* For HASH and SCAN. */
        uint32_t flag;
        hash_function of;
};

#define HASHES 4
extern const struct hash hashes[HASHES];
