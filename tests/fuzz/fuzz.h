/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* What each target is: one input, from libFuzzer or from a file of its corpus (replay.c). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Holds what was read against what its header promises; not assert(), which NDEBUG takes away. */
#define CHECK(condition)         \
        do {                     \
                if (!(condition)) \
                        abort(); \
        } while (0)
