// SPDX-License-Identifier: LGPL-2.1-or-later
/* What userfaultfd, soft-dirty bits and pagemap tell. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hammer.h"
#include "pages.h"
#include "watch.h"

#define SEED 11
#define N 128

static void missing(void) {
        hammer_begin();
        while (hammer_round()) {
                char *area = under_test(0, N);
                struct watch watch;

                watch_start(&watch, area, N, SEED);
                check_equal(pages_wrong(area, N, SEED), 0);
                check_equal(watch.missing, N);
                check_equal(madvise(area, N / 2 * PAGE, MADV_DONTNEED), 0);
                check_equal(pages_wrong(area, N, SEED), 0);
                check_equal(watch.missing, N + N / 2);
                watch_end(&watch);
                usleep(10000);
                check_equal(pages_wrong(area, N, SEED), 0);
        }
}

/* Every page that is written to is reported, once, and no other. */
static void write_protected(void) {
        hammer_begin();
        while (hammer_round()) {
                char *area = under_test(0, N);
                struct watch watch;

                pages_fill(area, N, SEED);
                usleep(10000);
                watch_start(&watch, area, N, SEED);
                watch_protect(&watch);
                usleep(10000);
                check_equal(pages_wrong(area, N, SEED), 0);
                check_equal(watch.protected, 0);
                for (size_t i = 0; i < N; i += 2)
                        pages_fill(area + i * PAGE, 1, SEED + 1);
                check_equal(watch.protected, N / 2);
                for (size_t i = 0; i < N; i += 2)
                        pages_fill(area + i * PAGE, 1, SEED + 2);
                check_equal(watch.protected, N / 2);
                watch_end(&watch);
                for (size_t i = 0; i < N; i += 2)
                        check_equal(pages_wrong(area + i * PAGE, 1, SEED + 2), 0);
        }
}

static void read_pagemap(const char *area, uint64_t *words) {
        int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

        check(fd >= 0);
        check_equal(pread(fd, words, N * sizeof(*words), (uintptr_t)area / PAGE * sizeof(*words)),
                    N * sizeof(*words));
        close(fd);
}

static void clear_soft_dirty(void) {
        int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

        check(fd >= 0);
        check_equal(write(fd, "4", 1), 1);
        close(fd);
}

#define SOFT_DIRTY (1ULL << 55)
#define EXCLUSIVE (1ULL << 56)
#define OF_FILE (1ULL << 61)
#define MOVING (1ULL << 62)
#define PRESENT (1ULL << 63)

static void soft_dirty(void) {
        char *area;

        hammer_begin();
        area = under_test(0, N);
        for (unsigned round = 0; hammer_round(); round++) {
                uint64_t words[N];

                pages_fill(area, N, SEED + round);
                clear_soft_dirty();
                usleep(5000);
                for (size_t i = round % 3; i < N; i += 3)
                        area[i * PAGE] ^= 1;
                usleep(5000);
                read_pagemap(area, words);
                for (size_t i = 0; i < N; i++)
                        check_equal(!!(words[i] & SOFT_DIRTY), i % 3 == round % 3);
        }
}

/* Documented: merged pages look like those of a file, and are not the process's alone; those that are being
 * merged look like pages that are being moved. */
static void pagemap(void) {
        hammer_begin();
        while (hammer_round()) {
                char *area = under_test(0, N);
                uint64_t words[N];

                for (size_t i = 0; i < N; i += 2)
                        pages_fill(area + i * PAGE, 1, SEED + i);
                usleep(5000);
                read_pagemap(area, words);
                for (size_t i = 0; i < N; i++) {
                        check_equal(!!(words[i] & (PRESENT | MOVING)), i % 2 == 0);
                        if (i % 2)
                                continue;
                        if (words[i] & (OF_FILE | MOVING))
                                check(hammer_is_on());
                        else
                                check(words[i] & EXCLUSIVE);
                }
                /* Written, they are its own again. */
                check_equal(mlock(area, N * PAGE), 0);
                read_pagemap(area, words);
                for (size_t i = 0; i < N; i++)
                        check_equal(words[i] & (PRESENT | OF_FILE | EXCLUSIVE), PRESENT | EXCLUSIVE);
                check_equal(munlock(area, N * PAGE), 0);
        }
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "watch: userfaultfd, missing pages", missing },
                { "watch: userfaultfd, write-protected pages", write_protected },
                { "watch: soft-dirty bits", soft_dirty },
                { "watch: pagemap", pagemap },
        };

        return HAMMER_CASES_RUN(argc, argv, cases);
}
