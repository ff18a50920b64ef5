// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hashes.h"

#include <linux/mergemod.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "pages.h"

static uint64_t of_all(const void *page, uint64_t seed) {
        return XXH64(page, PAGE, seed);
}

static uint64_t of_sample(const void *page, uint64_t seed) {
        unsigned char sample[4][64];
        size_t quarter = PAGE / 4;

        for (int i = 0; i < 4; i++) {
                size_t line = (seed >> (16 * i)) % (quarter / 64);

                memcpy(sample[i], (const char *)page + i * quarter + line * 64, 64);
        }
        return XXH64(sample, sizeof(sample), seed);
}

static uint64_t of_half(const void *page, uint64_t seed) {
        const uint64_t *words = page;
        uint64_t hash = seed;

        for (size_t i = 0; i < PAGE / 2 / sizeof(*words); i++) {
                hash += words[i];
                hash = hash << 1 | hash >> 63;
        }
        return hash;
}

static uint64_t of_nothing(const void *page, uint64_t seed) {
        return seed;
}

const struct hash hashes[HASHES] = {
        { "addrothalf", MERGEMOD_SCAN_ADDROTHALF, of_half },
        { "xxh64", 0, of_all },
        { "sample", MERGEMOD_SCAN_SAMPLE, of_sample },
        { "const", MERGEMOD_SCAN_CONST, of_nothing },
};
