/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What test-fuzz calls the device for: pages at FUZZ_ADDRESS, most of them of one of FUZZ_SEEDS contents
 * that follow from their number, so that the callers guess right often enough. */
#define FUZZ_ADDRESS 0x100000000000UL
#define FUZZ_PAGES 1024
#define FUZZ_SEEDS 4
#define FUZZ_TARGETS 5

#define FUZZ_BOARD "/dev/shm/fuzz-board"
#define FUZZ_CALLS_MAX 16

/* Shared by all, also after exec. */
struct fuzz_board {
        atomic_bool stop;
        atomic_ulong wrong;
        atomic_int pids[FUZZ_TARGETS];
        atomic_ulong calls[FUZZ_CALLS_MAX], passed[FUZZ_CALLS_MAX];
        atomic_ulong merged;
};

struct fuzz_board *fuzz_board_map(void);

/* The same numbers for the same start on every machine. */
struct random {
        uint64_t state;
};

uint64_t random_next(struct random *random);
unsigned random_below(struct random *random, unsigned n);
static inline bool random_once_in(struct random *random, unsigned n) {
        return random_below(random, n) == 0;
}

/* A target: writes, forks, moves, and looks at its pages, until it ends for whatever reason. */
_Noreturn void fuzz_target(struct fuzz_board *board, unsigned number, uint64_t seed);
