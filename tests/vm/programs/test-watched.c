// SPDX-License-Identifier: LGPL-2.1-or-later
/* Merged pages in areas that come to be watched by userfaultfd. */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "held.h"
#include "twin.h"
#include "watch.h"

#define SEED 121
#define N 128

#ifndef UFFDIO_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
struct uffdio_move {
        uint64_t dst, src, len, mode;
        int64_t move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif

static void write_protected(void) {
        struct twin twin = twin_merged(N, SEED);
        struct watch watch;

        watch_start(&watch, twin.a, N, SEED);
        watch_protect(&watch);
        check_equal(twin_shared(&twin), N);
        check_equal(pages_wrong(twin.a, N, SEED), 0);
        check_equal(watch.protected, 0);
        pages_fill(twin.a, N, SEED + 1);
        check_equal(watch.protected, N);
        check_equal(pages_wrong(twin.a, N, SEED + 1) + twin_wrong(&twin), 0);
        check_equal(twin_merge(&twin, twin.a, N), 0);
        watch_end(&watch);
        pages_fill(twin.a, N, SEED);
        pages_settle();
        check_equal(twin_merge(&twin, twin.a, N), N);
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        twin_end(&twin);
}

/* Nobody waits for whoever watches, who may be asleep: such pages stay merged, and that is said. */
static void unmerged(void) {
        struct twin twin = twin_merged(N, SEED);
        struct mergemod_range range = {
                .start = (uintptr_t)twin.a,
                .end = (uintptr_t)twin.a + N * PAGE,
                .target = twin.target,
        };
        struct mergemod_ranges all = { .ranges = (uintptr_t)&range, .n_ranges = 1 };
        struct watch watch;

        watch_start(&watch, twin.a, N, SEED);
        watch_protect(&watch);
        check_equal(ioctl(twin.fd, MERGEMOD_UNMERGE, &all), 0);
        check_equal(range.status, -EFAULT);
        check_equal(range.pages, 0);
        check_equal(watch.protected, 0);
        check_equal(twin_shared(&twin), N);
        watch_end(&watch);
        check_equal(device_unmerge(twin.fd, twin.target, (uintptr_t)twin.a, N, 0), N);
        check_equal(twin_shared(&twin), 0);
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        twin_end(&twin);
}

static void missing(void) {
        struct twin twin = twin_merged(N, SEED);
        struct watch watch;

        watch_start(&watch, twin.a, N, SEED + 1);
        check_equal(pages_wrong(twin.a, N, SEED), 0);
        check_equal(watch.missing, 0);
        check_equal(madvise(twin.a, N * PAGE, MADV_DONTNEED), 0);
        check_equal(pages_wrong(twin.a, N, SEED + 1), 0);
        check_equal(watch.missing, N);
        watch_end(&watch);
        pages_settle();
        check_equal(twin_merge(&twin, twin.a, N), N);
        check_equal(pages_wrong(twin.a, N, SEED + 1) + twin_wrong(&twin), 0);
        twin_end(&twin);
}

static void forked(void) {
        struct twin twin = twin_merged(N, SEED);
        struct watch watch;
        int status;
        pid_t pid;

        watch_start(&watch, twin.a, N, SEED);
        watch_protect(&watch);
        pid = fork();
        if (pid == 0) {
                size_t wrong = pages_wrong(twin.a, N, SEED);

                pages_fill(twin.a, N, SEED + 2);
                _exit(wrong + pages_wrong(twin.a, N, SEED + 2) + twin_wrong(&twin) != 0);
        }
        check_equal(waitpid(pid, &status, 0), pid);
        check_equal(status, 0);
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        watch_end(&watch);
        twin_end(&twin);
}

/* Newer kernels move pages from one place to another. Shared ones they do not. */
static void moved(void) {
        struct twin twin = twin_merged(N, SEED);
        char *place = pages_map(N);
        struct uffdio_move move = { (uintptr_t)place, (uintptr_t)twin.a, PAGE };
        struct watch watch;
        int r;

        watch_start(&watch, place, N, SEED);
        r = ioctl(watch.fd, UFFDIO_MOVE, &move);
        check(r < 0);
        check_equal(errno, watch_features() & UFFD_FEATURE_MOVE ? EBUSY : EINVAL);
        check_equal(twin_shared(&twin), N);
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        watch_end(&watch);
        twin_end(&twin);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "userfaultfd: merged pages are write-protected", write_protected },
                { "userfaultfd: watched pages are not unmerged", unmerged },
                { "userfaultfd: merged pages go missing", missing },
                { "userfaultfd: fork of write-protected merged pages", forked },
                { "userfaultfd: merged pages are not moved", moved },
        };

        return CASES_RUN(argc, argv, cases);
}
