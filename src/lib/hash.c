/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/hash.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>
#include <xxhash.h>

uint64_t mm_hash_page(const void *page, uint64_t seed)
{
        return XXH3_64bits_withSeed(page, MM_PAGE_SIZE, seed);
}

uint64_t mm_hash_zero(uint64_t seed)
{
        static const uint8_t zeros[MM_PAGE_SIZE];

        return mm_hash_page(zeros, seed);
}

uint64_t mm_hash_fold(uint64_t domain, uint64_t owner)
{
        /* For eight bytes XXH3 is a bijection in them and in the seed: two domains with one owner,
         * or two owners in one domain, never have the same fold. */
        return XXH3_64bits_withSeed(&owner, sizeof(owner), domain);
}

int mm_hash_seed(uint64_t *ret)
{
        uint64_t seed;
        ssize_t n;

        /* Reads of up to 256 bytes are never short nor interrupted once the pool is ready. */
        do {
                n = getrandom(&seed, sizeof(seed), 0);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (n != sizeof(seed))
                return -EIO;

        *ret = seed;
        return 0;
}
