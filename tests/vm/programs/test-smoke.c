// SPDX-License-Identifier: LGPL-2.1-or-later
/* The shortest way through everything. */
#include "case.h"
#include "device.h"
#include "pages.h"

#define N 256

static char *pages;

static long fill(long seed) {
        if (!pages)
                pages = pages_map(N);
        pages_fill(pages, N, seed);
        pages_settle();
        return (long)pages;
}

static long wrong(long seed) {
        return pages_wrong(pages, N, seed);
}

static void zeros(void) {
        struct mergemod_element elements[N];
        struct mergemod_merge merge = { .flags = MERGEMOD_MERGE_ZERO_ONLY };
        struct peer peer = peer_start();
        uintptr_t address = peer_call(&peer, fill, 0);
        int fd = device_open();

        elements_fill(elements, device_attach(fd, peer.pid), address, N, 0);
        check_equal(device_merge(fd, &merge, elements, N), 0);
        check_equal(merge.done, N);
        check_equal(elements_count(elements, N, 0), N);
        check_equal(merge.zero_merged, N);
        check_equal(pages_zero(peer.pid, address, N), N);
        check_equal(peer_call(&peer, wrong, 0), 0);
        peer_call(&peer, fill, 7);
        check_equal(peer_call(&peer, wrong, 7), 0);
        check_equal(pages_zero(peer.pid, address, N), 0);
        peer_end(&peer);
}

static void contents(void) {
        struct peer a = peer_start(), b = peer_start();
        uintptr_t address = peer_call(&a, fill, 1);
        struct mergemod_element elements[2 * N];
        struct mergemod_merge merge = {};
        int fd = device_open();

        check_equal(peer_call(&b, fill, 1), address);
        elements_fill(elements, device_attach(fd, a.pid), address, N, 0);
        elements_fill(elements + N, device_attach(fd, b.pid), address, N, 0);
        check_equal(device_merge(fd, &merge, elements, 2 * N), 0);
        check_equal(elements_count(elements, 2 * N, 0), 2 * N);
        check_equal(merge.new_frames, N);
        check_equal(pages_shared(a.pid, b.pid, address, N), N);
        check_equal(peer_call(&a, wrong, 1), 0);
        check_equal(peer_call(&b, wrong, 1), 0);
        peer_call(&a, fill, 2);
        check_equal(peer_call(&a, wrong, 2), 0);
        check_equal(peer_call(&b, wrong, 1), 0);
        check_equal(pages_shared(a.pid, b.pid, address, N), 0);
        peer_end(&a);
        peer_end(&b);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "smoke: pages of zeros are merged, and written to", zeros },
                { "smoke: equal pages of two processes are merged, and written to", contents },
        };

        return CASES_RUN(argc, argv, cases);
}
