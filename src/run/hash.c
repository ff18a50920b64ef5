/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/hash.h"

#include "shared/macro.h"

#define PYTHON_AT 8U
#define NODE_AT 12U
#define PERL_AT 16U
#define PERL_BYTES 16U /* the key of its hash function, SipHash-1-3; others take what they need of it */

static uint32_t read_le32(const uint8_t *bytes)
{
        uint32_t n = 0;

        for (size_t i = 0; i < 4; i++)
                n |= (uint32_t) bytes[i] << (8 * i);
        return n;
}

/* 1 to 4294967295; 0 would be no seed at all, and public. */
static void python_seed(const uint8_t secret[LAYOUT_SECRET_BYTES], char *ret)
{
        uint64_t n = read_le32(secret + PYTHON_AT) | (uint64_t) read_le32(secret + PYTHON_AT + 4) << 32;

        snprintf(ret, HASH_VALUE_MAX, "%ju", (uintmax_t) (1 + n % UINT32_MAX));
}

static void perl_seed(const uint8_t secret[LAYOUT_SECRET_BYTES], char *ret)
{
        size_t n = (size_t) sprintf(ret, "0x");

        for (size_t i = 0; i < PERL_BYTES; i++)
                n += (size_t) sprintf(ret + n, "%02x", secret[PERL_AT + i]);
}

/* 2: buckets are in an order that follows from the seed and from what was done. */
static void perl_order(const uint8_t secret[LAYOUT_SECRET_BYTES], char *ret)
{
        strcpy(ret, "2");
}

const struct hash_setting hash_settings[] = {
        { "PYTHONHASHSEED", "CPython", python_seed },
        { "PERL_HASH_SEED", "Perl", perl_seed },
        { "PERL_PERTURB_KEYS", "Perl", perl_order },
};
const size_t hash_settings_size = ELEMENTSOF(hash_settings);

/* Who sees this one learns nothing of the others: CPython's is the sum of two halves, modulo 2^32-1, and
 * this is from one of the two. */
uint32_t hash_node_seed(const uint8_t secret[LAYOUT_SECRET_BYTES])
{
        return 1 + read_le32(secret + NODE_AT) % INT32_MAX;
}

int hash_apply(const uint8_t secret[LAYOUT_SECRET_BYTES])
{
        for (size_t i = 0; i < ELEMENTSOF(hash_settings); i++) {
                char value[HASH_VALUE_MAX];

                hash_settings[i].value(secret, value);
                if (setenv(hash_settings[i].variable, value, 0) < 0)
                        return -errno;
        }
        return 0;
}
