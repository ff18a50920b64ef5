/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libtarget.h"

#include <stddef.h>

/* A library whose written memory is known: .data and .bss of whole pages, and a table that the
 * loader relocates and then makes read-only. */

#define PAGE 4096U

static unsigned char data[LIBTARGET_DATA_PAGES * PAGE] __attribute__((__aligned__(PAGE))) = { 1 };
static unsigned char bss[LIBTARGET_BSS_PAGES * PAGE] __attribute__((__aligned__(PAGE)));

#define TABLE (LIBTARGET_RELRO_PAGES * PAGE / sizeof(char *))
#define QUARTER (TABLE / 4)
const unsigned char *const libtarget_table[TABLE] = {
        [0 ... QUARTER - 1] = data,
        [QUARTER ... 2 * QUARTER - 1] = data + 1,
        [2 * QUARTER ... 3 * QUARTER - 1] = data + 2,
        [3 * QUARTER ... TABLE - 1] = data + 3,
};

static unsigned char byte_of(uint64_t seed, size_t i)
{
        uint64_t page = i / PAGE,
                 x = (seed + 1) * 0x9e3779b97f4a7c15ULL + page * 0xd1342543de82ef95ULL + i % 61;

        return (unsigned char)(x >> (8 * (i % 8)));
}

void libtarget_fill(uint64_t seed)
{
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = byte_of(seed, i);
        for (size_t i = 0; i < sizeof(bss); i++)
                bss[i] = byte_of(seed, sizeof(data) + i);
}

long libtarget_check(uint64_t seed)
{
        for (size_t i = 0; i < TABLE; i++)
                if (libtarget_table[i] != data + i / QUARTER)
                        return (long)i;
        for (size_t i = 0; i < sizeof(data); i++)
                if (data[i] != byte_of(seed, i))
                        return (long)i;
        for (size_t i = 0; i < sizeof(bss); i++)
                if (bss[i] != byte_of(seed, sizeof(data) + i))
                        return (long)(sizeof(data) + i);
        return -1;
}
