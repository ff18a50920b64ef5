/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lib/inject-code.h"

#define SCAN_BUFFER (256U * 1024U)

/* Enough for any C library and program; the rest of a very large one is not read for it. */
#define SCAN_BYTES_MAX (64U * 1024U * 1024U)

static const uint8_t call_code[] = { 0x0f, 0x05, 0xc3 };
static const uint8_t restorer_code[] = { 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05 };
static const uint8_t restorer_short_code[] = { 0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05 };

#define CODE_MAX sizeof(restorer_code)

static bool known(const struct mm_inject_code *c)
{
        return c->call != 0 && c->restorer != 0;
}

static void note(const uint8_t *text, size_t size, uint64_t address, const uint8_t *code, size_t length,
                 uint64_t *where)
{
        const uint8_t *found;

        if (*where != 0)
                return;
        found = memmem(text, size, code, length);
        if (found)
                *where = address + (uint64_t) (found - text);
}

void mm_inject_code_scan(const uint8_t *text, size_t size, uint64_t address, struct mm_inject_code *c)
{
        note(text, size, address, call_code, sizeof(call_code), &c->call);
        note(text, size, address, restorer_code, sizeof(restorer_code), &c->restorer);
        note(text, size, address, restorer_short_code, sizeof(restorer_short_code), &c->restorer);
}

static bool is_code(const struct mm_area *a)
{
        const unsigned mask = MM_AREA_READ | MM_AREA_WRITE | MM_AREA_EXEC | MM_AREA_MAYSHARE;

        if ((a->flags & mask) != (MM_AREA_READ | MM_AREA_EXEC))
                return false;
        return a->kind == MM_AREA_FILE || (a->kind == MM_AREA_SPECIAL && streq(a->name, "[vdso]"));
}

/* Those stay for the life of a process, and have what is sought near their beginning. */
static bool is_likely(const struct mm_area *a)
{
        const char *base = strrchr(a->name, '/');

        base = base ? base + 1 : a->name;
        return strncmp(base, "libc.", 5) == 0 || strncmp(base, "libc-", 5) == 0 ||
               strncmp(base, "ld-", 3) == 0 || streq(base, "[vdso]");
}

static void scan_area(int mem_fd, const struct mm_area *a, uint8_t *buffer, size_t *budget,
                      struct mm_inject_code *c)
{
        uint64_t at = a->start;

        while (at < a->end && *budget > 0 && !known(c)) {
                uint64_t want = MIN(a->end - at, (uint64_t) SCAN_BUFFER);
                ssize_t n;

                n = pread(mem_fd, buffer, MIN(want, (uint64_t) *budget), (off_t) at);
                if (n < (ssize_t) CODE_MAX)
                        return;
                mm_inject_code_scan(buffer, (size_t) n, at, c);
                *budget -= (size_t) n;
                if ((uint64_t) n == a->end - at)
                        return;
                at += (uint64_t) n - (CODE_MAX - 1); /* what is sought may lie across two reads */
        }
}

int mm_inject_code_find(int mem_fd, const struct mm_areas *areas, struct mm_inject_code *ret)
{
        struct mm_inject_code c = { 0 };
        _cleanup_(freep) uint8_t *buffer = NULL;
        size_t budget = SCAN_BYTES_MAX;

        buffer = malloc(SCAN_BUFFER);
        if (!buffer)
                return -ENOMEM;

        for (unsigned pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < areas->n && !known(&c); i++)
                        if (is_code(&areas->items[i]) && is_likely(&areas->items[i]) == (pass == 0))
                                scan_area(mem_fd, &areas->items[i], buffer, &budget, &c);
        if (!known(&c))
                return -ENOENT;

        *ret = c;
        return 0;
}

bool mm_inject_code_stands(int mem_fd, const struct mm_inject_code *c)
{
        struct mm_inject_code again = { 0 };
        uint8_t call[sizeof(call_code)], restorer[CODE_MAX];

        if (pread(mem_fd, call, sizeof(call), (off_t) c->call) != sizeof(call) ||
            pread(mem_fd, restorer, sizeof(restorer), (off_t) c->restorer) <
                    (ssize_t) sizeof(restorer_short_code))
                return false;
        mm_inject_code_scan(call, sizeof(call), c->call, &again);
        mm_inject_code_scan(restorer, sizeof(restorer), c->restorer, &again);
        return again.call == c->call && again.restorer == c->restorer;
}
