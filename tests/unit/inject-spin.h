/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Code that has something in every register there is, and knows it. */

struct spin;

enum spin_tiles {
        SPIN_TILES_NEVER,
        SPIN_TILES_BEFORE, /* used once: the kernel keeps room for them, but they are not in use */
        SPIN_TILES_NOW,
};

/* @tiles: those of AMX, if the CPU has them. */
struct spin *spin_new(uint64_t seed, enum spin_tiles tiles);

/* Loads all registers with values of its own: general, flags, x87 with its control word, MXCSR, the
 * vectors, masks and tiles of AVX, AVX-512 and AMX as far as the CPU has them; fills the red zone below the
 * stack; goes @loops times around in user space; and looks at all of it again. NULL or what is
 * not as it was. */
const char *spin_check(struct spin *s, uint64_t loops);
