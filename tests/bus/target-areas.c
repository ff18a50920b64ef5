/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "target.h"

/* Memory with contents that are known at any time. */

#define AREAS_MAX 32
#define WRITES_MAX 256

struct written {
        size_t offset;
        unsigned char value;
};

static struct area {
        unsigned char *start;
        size_t pages, gone_from, gone_n; /* pages unmapped since */
        uint64_t seed, step;
        struct written writes[WRITES_MAX];
        size_t n_writes;
} *areas[AREAS_MAX];
static unsigned n_areas;

static uint64_t library_seed;
static void (*library_fill)(uint64_t seed);
static long (*library_check)(uint64_t seed);

void stream_fill(unsigned char *page, uint64_t seed, uint64_t index)
{
        uint64_t x = seed * 0x9e3779b97f4a7c15ULL + index * 0xd1342543de82ef95ULL + 1;

        if (seed == 0) {
                memset(page, 0, TARGET_PAGE);
                return;
        }
        for (size_t i = 0; i < TARGET_PAGE; i += sizeof(x)) {
                /* xorshift64: never 0, long enough for any test. */
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                memcpy(page + i, &x, sizeof(x));
        }
}

static void trim(unsigned char *start, size_t pages)
{
        munmap(start, TARGET_PAGE);
        munmap(start + (pages + 1) * TARGET_PAGE, TARGET_PAGE);
}

static void map(size_t pages, char answer[ANSWER_MAX])
{
        struct area *a;

        if (n_areas == AREAS_MAX) {
                snprintf(answer, ANSWER_MAX, "bad too many areas");
                return;
        }
        a = calloc(1, sizeof(*a));
        if (!a) {
                snprintf(answer, ANSWER_MAX, "bad memory");
                return;
        }
        /* A hole on either side, or the kernel would join areas. No guard pages: above one of those
         * lies a thread's stack, as far as anybody else can tell. */
        a->start = mmap(NULL, (pages + 2) * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0);
        if (a->start == MAP_FAILED) {
                snprintf(answer, ANSWER_MAX, "bad mmap: %m");
                free(a);
                return;
        }
        trim(a->start, pages);
        a->start += TARGET_PAGE;
        /* Small pages, so that figures can be told beforehand. */
        madvise(a->start, pages * TARGET_PAGE, MADV_NOHUGEPAGE);
        a->pages = pages;
        areas[n_areas] = a;
        snprintf(answer, ANSWER_MAX, "ok %u", n_areas++);
}

static void fill(struct area *a, uint64_t seed, uint64_t step)
{
        a->seed = seed;
        a->step = step;
        a->n_writes = 0;
        for (size_t i = 0; i < a->pages; i++)
                stream_fill(a->start + i * TARGET_PAGE, seed, i * step);
}

static int write_byte(struct area *a, size_t page, size_t offset, unsigned value)
{
        if (a->n_writes == WRITES_MAX || page >= a->pages || offset >= TARGET_PAGE)
                return -1;
        offset += page * TARGET_PAGE;
        a->start[offset] = (unsigned char)value;
        a->writes[a->n_writes++] = (struct written){ offset, (unsigned char)value };
        return 0;
}

static int unmap(struct area *a, size_t from, size_t n)
{
        if (a->gone_n > 0 || from + n > a->pages)
                return -1;
        if (munmap(a->start + from * TARGET_PAGE, n * TARGET_PAGE) < 0)
                return -1;
        a->gone_from = from;
        a->gone_n = n;
        return 0;
}

/* Elsewhere, with all its pages. */
static int move(struct area *a)
{
        size_t size = a->pages * TARGET_PAGE;
        unsigned char *to = mmap(NULL, size + 2 * TARGET_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                                 0);

        if (to == MAP_FAILED || a->gone_n > 0)
                return -1;
        if (mremap(a->start, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to + TARGET_PAGE) == MAP_FAILED)
                return -1;
        trim(to, a->pages);
        a->start = to + TARGET_PAGE;
        return 0;
}

static void load(const char *path, uint64_t seed, char answer[ANSWER_MAX])
{
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

        if (!library) {
                snprintf(answer, ANSWER_MAX, "bad dlopen: %s", dlerror());
                return;
        }
        library_fill = (void (*)(uint64_t))dlsym(library, "libtarget_fill");
        library_check = (long (*)(uint64_t))dlsym(library, "libtarget_check");
        if (!library_fill || !library_check) {
                snprintf(answer, ANSWER_MAX, "bad library");
                return;
        }
        library_fill(seed);
        library_seed = seed;
        snprintf(answer, ANSWER_MAX, "ok");
}

static size_t area_check(const struct area *a)
{
        static unsigned char expected[TARGET_PAGE];

        for (size_t i = 0; i < a->pages; i++) {
                if (i >= a->gone_from && i < a->gone_from + a->gone_n)
                        continue;
                stream_fill(expected, a->seed, i * a->step);
                for (size_t w = 0; w < a->n_writes; w++)
                        if (a->writes[w].offset / TARGET_PAGE == i)
                                expected[a->writes[w].offset % TARGET_PAGE] = a->writes[w].value;
                if (memcmp(expected, a->start + i * TARGET_PAGE, TARGET_PAGE) != 0)
                        return i;
        }
        return SIZE_MAX;
}

void areas_verify(char answer[ANSWER_MAX])
{
        for (unsigned i = 0; i < n_areas; i++) {
                size_t page = area_check(areas[i]);

                if (page != SIZE_MAX) {
                        snprintf(answer, ANSWER_MAX, "bad contents of area %u page %zu", i, page);
                        return;
                }
        }
        if (library_check && library_check(library_seed) >= 0) {
                snprintf(answer, ANSWER_MAX, "bad contents of the library at %ld",
                         library_check(library_seed));
                return;
        }
        snprintf(answer, ANSWER_MAX, "ok");
}

int areas_command(const char *line, char answer[ANSWER_MAX])
{
        char path[ANSWER_MAX];
        unsigned long long seed, step;
        size_t pages, page, offset;
        unsigned i, value;
        int failed = 0;

        snprintf(answer, ANSWER_MAX, "ok");
        if (sscanf(line, "map %zu", &pages) == 1) {
                map(pages, answer);
                return 1;
        }
        if (sscanf(line, "load %511s %llu", path, &seed) == 2) {
                load(path, seed, answer);
                return 1;
        }
        if (sscanf(line, "library %llu", &seed) == 1 && library_fill) {
                library_fill(seed);
                library_seed = seed;
                return 1;
        }
        if (sscanf(line, "%*s %u", &i) != 1 || i >= n_areas)
                return 0;

        if (sscanf(line, "address %u", &i) == 1)
                snprintf(answer, ANSWER_MAX, "ok %llx", (unsigned long long)(uintptr_t)areas[i]->start);
        else if (sscanf(line, "fill %u %llu %llu", &i, &seed, &step) == 3)
                fill(areas[i], seed, step);
        else if (sscanf(line, "write %u %zu %zu %u", &i, &page, &offset, &value) == 4)
                failed = write_byte(areas[i], page, offset, value);
        else if (sscanf(line, "unmap %u %zu %zu", &i, &page, &pages) == 3)
                failed = unmap(areas[i], page, pages);
        else if (sscanf(line, "move %u", &i) == 1)
                failed = move(areas[i]);
        else if (sscanf(line, "register %u", &i) == 1)
                failed = madvise(areas[i]->start, areas[i]->pages * TARGET_PAGE, MADV_MERGEABLE);
        else if (sscanf(line, "huge %u", &i) == 1)
                failed = madvise(areas[i]->start, areas[i]->pages * TARGET_PAGE, MADV_HUGEPAGE);
        else if (sscanf(line, "lock %u", &i) == 1)
                failed = mlock(areas[i]->start, areas[i]->pages * TARGET_PAGE);
        else if (sscanf(line, "hide %u", &i) == 1)
                failed = madvise(areas[i]->start, areas[i]->pages * TARGET_PAGE, MADV_DONTDUMP);
        else
                return 0;
        if (failed)
                snprintf(answer, ANSWER_MAX, "bad %s: %m", line);
        return 1;
}
