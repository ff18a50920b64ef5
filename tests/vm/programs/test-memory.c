// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every allocation that a call makes fails once. For kernels that can be told so: CONFIG_FAULT_INJECTION. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "case.h"
#include "held.h"
#include "knob.h"
#include "twin.h"

#define SEED 181
#define N 16
#define TRIES 2000
#define DEBUG "/sys/kernel/debug/"

/* Which allocation of the next system call is to fail, from 1; afterwards 0 if it has. */
static int nth = -1;

static void fail_nth(unsigned n) {
        char text[16];

        check(pwrite(nth, text, snprintf(text, sizeof(text), "%u", n), 0) > 0);
}

static bool has_failed(void) {
        char text[16] = {};

        check(pread(nth, text, sizeof(text) - 1, 0) > 0);
        fail_nth(0);
        return atoi(text) == 0;
}

static void prepare(void) {
        static const char *const kinds[] = { "failslab", "fail_page_alloc" };
        char path[128];

        for (size_t i = 0; i < 2; i++) {
                snprintf(path, sizeof(path), DEBUG "%s/ignore-gfp-wait", kinds[i]);
                knob_set(path, "N");
                snprintf(path, sizeof(path), DEBUG "%s/verbose", kinds[i]);
                knob_set(path, "0");
        }
        knob_set(DEBUG "fail_page_alloc/ignore-gfp-highmem", "N");
        knob_set(DEBUG "fail_page_alloc/min-order", "0");
        nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
        check(nth >= 0);
}

/* @call with the first, second, ... allocation failing, until it makes no more. How many it makes. */
static unsigned each(int (*call)(struct twin *twin), struct twin *twin, void (*again)(struct twin *twin)) {
        for (unsigned n = 1; n < TRIES; n++) {
                bool failed;
                int r;

                fail_nth(n);
                r = call(twin);
                failed = has_failed();
                if (!failed) {
                        check_equal(r, 0);
                        return n - 1;
                }
                check(r == 0 || r == -ENOMEM);
                check_equal(pages_wrong(twin->a, N, twin->seed) + twin_wrong(twin), 0);
                if (again)
                        again(twin);
        }
        fail("it does not come to an end");
}

static int try_open(struct twin *twin) {
        int fd = open(MERGEMOD_DEVICE, O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

static int try_attach(struct twin *twin) {
        struct mergemod_attach attach = { .pid = getpid() };

        return device_call(twin->fd, MERGEMOD_ATTACH, &attach);
}

static int try_scan(struct twin *twin) {
        struct mergemod_page pages[N];
        struct mergemod_scan scan = {
                .target = twin->target,
                .start = (uintptr_t)twin->a,
                .end = (uintptr_t)twin->a + N * PAGE,
                .flags = MERGEMOD_SCAN_MERGED | MERGEMOD_SCAN_ZEROS,
                .pages = (uintptr_t)pages,
                .n_pages = N,
        };

        return device_call(twin->fd, MERGEMOD_SCAN, &scan);
}

/* The worst that befalls a page is the result. */
static int try_merge(struct twin *twin) {
        struct mergemod_element elements[2 * N];
        struct mergemod_merge merge = { .huge = MERGEMOD_HUGE_SPLIT };
        int r;

        elements_fill(elements, twin->target, (uintptr_t)twin->a, N, 0);
        elements_fill(elements + N, twin->target, (uintptr_t)twin->b, N, 0);
        r = device_merge(twin->fd, &merge, elements, 2 * N);
        if (r < 0)
                return r;
        check_equal(merge.done, 2 * N);
        for (size_t i = 0; i < 2 * N; i++)
                if (elements[i].status && elements[i].status != -EALREADY)
                        return elements[i].status;
        return 0;
}

static int try_unmerge(struct twin *twin) {
        struct mergemod_range range = { .start = (uintptr_t)twin->a, .end = (uintptr_t)twin->a + N * PAGE,
                                        .target = twin->target };
        struct mergemod_ranges ranges = { .ranges = (uintptr_t)&range, .n_ranges = 1,
                                          .flags = MERGEMOD_UNMERGE_ZERO };
        int r = device_call(twin->fd, MERGEMOD_UNMERGE, &ranges);

        return r ?: range.status;
}

/* Both: they lie beside each other, and are one area. */
static int try_advise(struct twin *twin) {
        char *first = twin->a < twin->b ? twin->a : twin->b;
        struct mergemod_range range = { .start = (uintptr_t)first, .end = (uintptr_t)first + 2 * N * PAGE,
                                        .target = twin->target };
        struct mergemod_ranges ranges = { .ranges = (uintptr_t)&range, .n_ranges = 1,
                                          .flags = MERGEMOD_ADVISE_KSM };
        int r = device_call(twin->fd, MERGEMOD_ADVISE, &ranges);

        return r ?: range.status;
}

/* Pages of their own again, in new places. */
static void renew(struct twin *twin) {
        check_equal(madvise(twin->a, N * PAGE, MADV_DONTNEED), 0);
        check_equal(madvise(twin->b, N * PAGE, MADV_DONTNEED), 0);
        pages_fill(twin->a, N, twin->seed);
        pages_fill(twin->b, N, twin->seed);
        pages_settle();
}

static void remerge(struct twin *twin) {
        renew(twin);
        check_equal(try_merge(twin), 0);
}

static void at_least(unsigned n, unsigned expected, const char *what) {
        printf("# %s: %u allocations\n", what, n);
        check_at_least(n, expected);
}

static void calls(void) {
        struct twin twin;

        prepare();
        twin = twin_make(N, SEED);
        at_least(each(try_open, &twin, NULL), 1, "open");
        at_least(each(try_attach, &twin, NULL), 1, "ATTACH");
        at_least(each(try_scan, &twin, NULL), 1, "SCAN");
        at_least(each(try_merge, &twin, renew), 3, "MERGE");
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        at_least(each(try_unmerge, &twin, remerge), 1, "UNMERGE");
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        renew(&twin);
        at_least(each(try_advise, &twin, NULL), 1, "ADVISE");
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        twin_end(&twin);
        frames_gone(device_open());
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "memory: each allocation of each call fails once", calls },
        };

        return CASES_RUN(argc, argv, cases);
}
