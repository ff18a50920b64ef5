/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/hash-kind.h"

#include <xxhash.h>

#include "shared/macro.h"

/* One line of each part of the data. */
#define SAMPLE_LINES 4U
#define LINE_BYTES 64U

static uint64_t hash_sample(uint64_t seed, const uint8_t *data, size_t size)
{
        size_t part = size / SAMPLE_LINES;
        uint8_t lines[SAMPLE_LINES][LINE_BYTES];

        if (part < LINE_BYTES)
                return XXH64(data, size, seed);
        for (unsigned i = 0; i < SAMPLE_LINES; i++) {
                size_t line = (seed >> (16 * i)) % (part / LINE_BYTES);

                memcpy(lines[i], data + i * part + line * LINE_BYTES, LINE_BYTES);
        }
        return XXH64(lines, sizeof(lines), seed);
}

static uint64_t hash_addrothalf(uint64_t seed, const uint8_t *data, size_t size)
{
        const uint8_t *end = data + size / 2 / sizeof(uint64_t) * sizeof(uint64_t);
        uint64_t hash = seed, word;

        for (; data < end; data += sizeof(word)) {
                memcpy(&word, data, sizeof(word));
                hash += word;
                hash = hash << 1 | hash >> 63;
        }
        return hash;
}

uint64_t mm_hash_kind_compute(enum mm_hash_kind kind, uint64_t seed, const void *data, size_t size)
{
        switch (kind) {
        case MM_HASH_XXH64:
                return XXH64(data, size, seed);
        case MM_HASH_SAMPLE:
                return hash_sample(seed, data, size);
        case MM_HASH_ADDROTHALF:
                return hash_addrothalf(seed, data, size);
        default:
                return seed;
        }
}

uint64_t mm_hash_kind_join(enum mm_hash_kind kind, uint64_t seed, const uint64_t *parts, size_t n)
{
        return kind == MM_HASH_CONST ? seed : XXH64(parts, n * sizeof(*parts), seed);
}
