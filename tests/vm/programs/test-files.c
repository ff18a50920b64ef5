// SPDX-License-Identifier: LGPL-2.1-or-later
/* Private mappings of files: why MERGE refuses them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "case.h"
#include "hammer.h"
#include "held.h"

#define SEED 131
#define N 64
#define FILE_PATH "/tmp/mapped"

static int make_file(void) {
        int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        static char pages[N * PAGE];

        check(fd >= 0);
        memset(pages, 1, sizeof(pages));
        check_equal(write(fd, pages, sizeof(pages)), sizeof(pages));
        return fd;
}

/* Punching a hole takes away what is not anonymous: a merged page would go, and the process's bytes. */
static void punched(void) {
        int fd = make_file(), device;
        struct mergemod_element elements[N];
        struct mergemod_merge merge = {};
        char *pages;

        hammer_start();
        pages = mmap(UNDER_TEST, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
        check(pages == UNDER_TEST);
        pages_fill(pages, N, SEED);
        pages_settle();
        device = device_open();
        elements_fill(elements, device_attach(device, getpid()), (uintptr_t)pages, N, 0);
        check_equal(device_merge(device, &merge, elements, N), 0);
        check_equal(elements_count(elements, N, -EOPNOTSUPP), N);
        check_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, N * PAGE), 0);
        check_equal(pages_wrong(pages, N, SEED), 0);
        usleep(500000);
        check_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, N * PAGE), 0);
        check_equal(pages_wrong(pages, N, SEED), 0);
        hammer_stop();
        check_equal(hammer_merged(), 0);
}

/* The kernel registers such areas with KSM, whose pages are anonymous. */
static void advised(void) {
        int fd = make_file(), device = device_open();
        char *pages = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        struct mergemod_range range = { .start = (uintptr_t)pages, .end = (uintptr_t)pages + N * PAGE,
                                        .target = device_attach(device, getpid()) };
        struct mergemod_ranges ranges = { .ranges = (uintptr_t)&range, .n_ranges = 1,
                                          .flags = MERGEMOD_ADVISE_KSM };

        check(pages != MAP_FAILED);
        for (size_t i = 0; i < N; i++)
                pages_fill(pages + i * PAGE, 1, SEED);
        check_equal(device_call(device, MERGEMOD_ADVISE, &ranges), 0);
        check_equal(range.status, 0);
        check_equal(range.pages, 1);
        for (int i = 0; i < 300 && page_frame(getpid(), (uintptr_t)pages) !=
                                   page_frame(getpid(), (uintptr_t)pages + (N - 1) * PAGE); i++)
                usleep(100000);
        check_equal(page_frame(getpid(), (uintptr_t)pages),
                    page_frame(getpid(), (uintptr_t)pages + (N - 1) * PAGE));
        check_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, N * PAGE), 0);
        for (size_t i = 0; i < N; i++)
                check_equal(pages_wrong(pages + i * PAGE, 1, SEED), 0);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "files: a hole is punched under private pages, which are never merged", punched },
                { "files: a hole is punched under private pages merged by KSM", advised },
        };

        return CASES_RUN(argc, argv, cases);
}
