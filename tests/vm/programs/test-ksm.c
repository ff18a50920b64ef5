// SPDX-License-Identifier: LGPL-2.1-or-later
/* KSM and mergemod in the same processes. The suite has ksmd run at full speed. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "case.h"
#include "hammer.h"
#include "knob.h"
#include "twin.h"

#define SEED 171
#define N 256
#define KSM "/sys/kernel/mm/ksm/"

static void ksm_passes(long n) {
        long goal = knob_get(KSM "full_scans") + n;

        while (knob_get(KSM "full_scans") < goal)
                usleep(10000);
}

/* What is merged is not for KSM. */
static void registered_later(void) {
        struct twin twin = twin_merged(N, SEED);

        check_equal(madvise(twin.a, N * PAGE, MADV_MERGEABLE), 0);
        check_equal(madvise(twin.b, N * PAGE, MADV_MERGEABLE), 0);
        ksm_passes(4);
        check_equal(knob_get(KSM "pages_shared"), 0);
        check_equal(twin_shared(&twin), N);
        pages_fill(twin.a, N / 2, SEED);
        check_equal(madvise(twin.a, N * PAGE, MADV_UNMERGEABLE), 0);
        check_equal(madvise(twin.b, N * PAGE, MADV_UNMERGEABLE), 0);
        check_equal(twin_shared(&twin), N / 2);
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        twin_end(&twin);
}

/* What KSM has merged is not for the module, until it is taken out of KSM. */
static void registered_before(void) {
        struct twin twin = twin_make(N, SEED);
        /* They lie beside each other, and are one area. */
        char *first = twin.a < twin.b ? twin.a : twin.b;
        struct mergemod_range range = { .start = (uintptr_t)first, .end = (uintptr_t)first + 2 * N * PAGE,
                                        .target = twin.target };
        struct mergemod_ranges ranges = { .ranges = (uintptr_t)&range, .n_ranges = 1,
                                          .flags = MERGEMOD_ADVISE_NO_KSM };

        check_equal(madvise(twin.a, N * PAGE, MADV_MERGEABLE), 0);
        check_equal(madvise(twin.b, N * PAGE, MADV_MERGEABLE), 0);
        for (int i = 0; i < 300 && twin_shared(&twin) < N; i++)
                usleep(100000);
        check_equal(twin_shared(&twin), N);
        check_equal(twin_merge(&twin, twin.a, N) + twin_merge(&twin, twin.b, N), 0);
        check_equal(device_call(twin.fd, MERGEMOD_ADVISE, &ranges), 0);
        check_equal(range.status, 0);
        check_equal(twin_shared(&twin), 0);
        pages_settle();
        check_equal(twin_merge(&twin, twin.a, N) + twin_merge(&twin, twin.b, N), 2 * N);
        check_equal(twin_shared(&twin), N);
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        twin_end(&twin);
}

/* Pages of zeros: KSM knows its own from ours. */
static void zeros(void) {
        struct twin twin = twin_make(N, 0);
        bool counted = access(KSM "ksm_zero_pages", R_OK) == 0;

        knob_set(KSM "use_zero_pages", "1");
        check_equal(twin_merge(&twin, twin.a, N), N);
        check_equal(madvise(twin.a, N * PAGE, MADV_MERGEABLE), 0);
        check_equal(madvise(twin.b, N * PAGE, MADV_MERGEABLE), 0);
        for (int i = 0; i < 300 && pages_zero(getpid(), (uintptr_t)twin.b, N) < N; i++)
                usleep(100000);
        check_equal(pages_zero(getpid(), (uintptr_t)twin.b, N), N);
        if (counted)
                check_equal(knob_get(KSM "ksm_zero_pages"), N);
        pages_fill(twin.a, N, SEED);
        munmap(twin.a, N * PAGE);
        if (counted)
                check_equal(knob_get(KSM "ksm_zero_pages"), N);
        pages_fill(twin.b, N / 2, SEED);
        if (counted)
                check_equal(knob_get(KSM "ksm_zero_pages"), N / 2);
        munmap(twin.b, N * PAGE);
        if (counted)
                check_equal(knob_get(KSM "ksm_zero_pages"), 0);
        knob_set(KSM "use_zero_pages", "0");
}

static void both(void) {
        char *area;

        hammer_start();
        area = under_test(0, N);
        for (long seed = SEED; seed < SEED + 40 || hammer_merged() < 2000; seed++) {
                for (size_t i = 0; i < N; i++)
                        pages_fill(area + i * PAGE, 1, seed + i % 5);
                check_equal(madvise(area, N * PAGE, seed % 2 ? MADV_MERGEABLE : MADV_UNMERGEABLE), 0);
                usleep(50000);
                for (size_t i = 0; i < N; i++)
                        check_equal(pages_wrong(area + i * PAGE, 1, seed + i % 5), 0);
        }
        hammer_stop();
        printf("# %lu pages merged\n", hammer_merged());
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "KSM: merged pages in registered areas", registered_later },
                { "KSM: its pages, and what becomes of them when unregistered", registered_before },
                { "KSM: pages of zeros of both", zeros },
                { "KSM: both at work in one area", both },
        };

        return CASES_RUN(argc, argv, cases);
}
