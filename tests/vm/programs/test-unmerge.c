// SPDX-License-Identifier: LGPL-2.1-or-later
/* Unmerging, and registering with KSM. */
#include <errno.h>
#include <sys/mman.h>

#include "case.h"
#include "held.h"

#define SEED 11

static void contents(void) {
        struct herd herd = herd_start(2, SEED);
        struct mergemod_merge merge = {};
        uint64_t before;

        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        before = device_stats(herd.fd).unmerged;
        check_equal(device_unmerge(herd.fd, herd.targets[0], HELD_ADDRESS, HELD, MERGEMOD_UNMERGE_SINGLE),
                    0);
        check_equal(device_unmerge(herd.fd, herd.targets[0], HELD_ADDRESS, HELD, 0), HELD);
        check_equal(device_unmerge(herd.fd, herd.targets[0], HELD_ADDRESS, HELD, 0), 0);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), 0);
        check_equal(device_unmerge(herd.fd, herd.targets[1], HELD_ADDRESS, HELD, MERGEMOD_UNMERGE_SINGLE),
                    HELD);
        check_equal(device_stats(herd.fd).unmerged - before, 2 * HELD);
        check_equal(herd_wrong(&herd, SEED), 0);
        frames_gone(herd.fd);
        herd_end(&herd);
}

static void zeros(void) {
        struct herd herd = herd_start(1, 0);
        struct mergemod_merge merge = {};

        check_equal(herd_merge(&herd, &merge), HELD);
        check_equal(device_unmerge(herd.fd, herd.targets[0], 0, 1UL << 34, 0), 0);
        check_equal(device_unmerge(herd.fd, herd.targets[0], HELD_ADDRESS, HELD, 0), 0);
        check_equal(device_unmerge(herd.fd, herd.targets[0], HELD_ADDRESS, HELD, MERGEMOD_UNMERGE_ZERO),
                    HELD);
        check_equal(pages_zero(herd.peers[0].pid, HELD_ADDRESS, HELD), 0);
        check_equal(herd_wrong(&herd, 0), 0);
        herd_end(&herd);
}

static long protect(long unused) {
        return mprotect((void *)HELD_ADDRESS, HELD * PAGE, PROT_READ);
}

static void read_only(void) {
        struct herd herd = herd_start(1, SEED);
        struct mergemod_merge merge = {};

        check_equal(peer_call(&herd.peers[0], protect, 0), 0);
        check_equal(herd_merge(&herd, &merge), HELD);
        check_equal(device_unmerge(herd.fd, herd.targets[0], HELD_ADDRESS, HELD, 0), HELD);
        check_equal(herd_wrong(&herd, SEED), 0);
        herd_end(&herd);
}

static void advise(void) {
        struct herd herd = herd_start(1, SEED);
        struct mergemod_range range = { .start = HELD_ADDRESS, .end = HELD_ADDRESS + HELD * PAGE,
                                        .target = herd.targets[0] };
        struct mergemod_ranges ranges = { .ranges = (uintptr_t)&range, .n_ranges = 1,
                                          .flags = MERGEMOD_ADVISE_KSM };
        struct mergemod_merge merge = {};

        check_equal(device_call(herd.fd, MERGEMOD_ADVISE, &ranges), 0);
        check_equal(range.status, 0);
        check_equal(range.pages, 1);
        check_equal(held_merge_one(herd.fd, herd.targets[0], HELD_ADDRESS, merge), -EOPNOTSUPP);
        range.start = HELD_ADDRESS;
        ranges.flags = MERGEMOD_ADVISE_NO_KSM;
        check_equal(device_call(herd.fd, MERGEMOD_ADVISE, &ranges), 0);
        check_equal(range.pages, 1);
        check_equal(held_merge_one(herd.fd, herd.targets[0], HELD_ADDRESS, merge), 0);

        range.start = HELD_ADDRESS + PAGE;
        ranges.flags = MERGEMOD_ADVISE_KSM;
        check_equal(device_call(herd.fd, MERGEMOD_ADVISE, &ranges), 0);
        check_equal(range.status, -EINVAL);
        range.start = HELD_ADDRESS - 16 * PAGE;
        range.end = HELD_ADDRESS - 8 * PAGE;
        check_equal(device_call(herd.fd, MERGEMOD_ADVISE, &ranges), 0);
        check_equal(range.status, -ERANGE);
        check_equal(herd_wrong(&herd, SEED), 0);
        herd_end(&herd);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "unmerge: contents, and frames with one user", contents },
                { "unmerge: pages of zeros", zeros },
                { "unmerge: read-only areas", read_only },
                { "advise: KSM and back", advise },
        };

        return CASES_RUN(argc, argv, cases);
}
