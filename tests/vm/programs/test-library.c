// SPDX-License-Identifier: LGPL-2.1-or-later
/* libmmlib's calls of the device. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "case.h"
#include "held.h"
#include "lib/device.h"

#define SEED 5
#define END (HELD_ADDRESS + HELD * PAGE)

static struct mm_device *open_device(void) {
        struct mergemod_info info;
        struct mm_device *d;

        check_equal(mm_device_open(MERGEMOD_DEVICE, &d, &info), 0);
        check_equal(info.version, MERGEMOD_VERSION);
        check_equal(mm_device_features(d) & MM_DEVICE_FEATURES, MM_DEVICE_FEATURES);
        return d;
}

static int open_process(pid_t pid) {
        char path[32];
        int fd;

        snprintf(path, sizeof(path), "/proc/%d", (int)pid);
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        check(fd >= 0);
        return fd;
}

/* A process with pages, attached. */
static struct peer start(struct mm_device *d, uint32_t *target) {
        struct peer peer = peer_start_as(1000);
        int fd = open_process(peer.pid);

        peer_call(&peer, held_fill, SEED);
        check_equal(mm_device_attach(d, peer.pid, 1, fd, target), 0);
        close(fd);
        return peer;
}

static void merges(void) {
        struct mm_device_domain domain = { .kind = MERGEMOD_DOMAIN_USER, .cgroup_fd = -1 };
        struct mergemod_element elements[2 * HELD];
        struct mm_device *d = open_device();
        struct mergemod_page pages[2][HELD];
        struct mergemod_stats before, after;
        struct mergemod_range range;
        struct mergemod_merge sum;
        struct peer peers[2];
        uint32_t targets[2];
        size_t n;

        for (size_t i = 0; i < 2; i++) {
                uint64_t start_address = HELD_ADDRESS;

                peers[i] = start(d, &targets[i]);
                check_equal(mm_device_scan(d, targets[i], 0, SEED, &start_address, END, pages[i], HELD,
                                           &n), 0);
                check_at_least(n, HELD - 1);
        }
        for (size_t i = 0; i < n; i++) {
                check_equal(pages[0][i].address, pages[1][i].address);
                check_equal(pages[0][i].hash, pages[1][i].hash);
        }

        /* Page by page of both, which is not the order in which it is done. */
        for (size_t i = 0; i < 2 * HELD; i++)
                elements[i] = (struct mergemod_element){
                        .address = HELD_ADDRESS + i / 2 * PAGE,
                        .target = targets[i % 2],
                        .group = i / 2,
                };
        check_equal(mm_device_stats(d, &before), 0);
        check_equal(mm_device_merge(d, &domain, MERGEMOD_HUGE_AUTO, elements, 2 * HELD, &sum), 0);
        check_equal(mm_device_stats(d, &after), 0);
        check_equal(sum.done, 2 * HELD);
        check_equal(sum.merged, 2 * HELD);
        check_equal(after.merged - before.merged, 2 * HELD);
        check_equal(pages_shared(peers[0].pid, peers[1].pid, HELD_ADDRESS, HELD), HELD);
        for (size_t i = 0; i < 2 * HELD; i++)
                check_equal(elements[i].status, 0);

        range = (struct mergemod_range){ .start = HELD_ADDRESS, .end = END, .target = targets[0] };
        check_equal(mm_device_unmerge(d, &range, 1, 0), 0);
        check_equal(range.status, 0);
        check_equal(range.pages, HELD);
        check_equal(range.start, END);
        check_equal(pages_shared(peers[0].pid, peers[1].pid, HELD_ADDRESS, HELD), 0);

        range = (struct mergemod_range){ .start = HELD_ADDRESS, .end = END, .target = targets[0] };
        check_equal(mm_device_advise(d, &range, 1, MERGEMOD_ADVISE_KSM), 0);
        check_equal(range.status, 0);
        check_equal(range.pages, 1);
        check_equal(peer_call(&peers[0], held_wrong, SEED) + peer_call(&peers[1], held_wrong, SEED), 0);
        mm_device_free(d);
}

static void targets(void) {
        struct mm_device *d = open_device();
        uint32_t first, again;
        struct peer peer = start(d, &first), other;
        int fd = open_process(peer.pid);

        check_equal(mm_device_attach(d, peer.pid, 1, fd, &again), 0);
        check_equal(again, first);
        mm_device_sweep(d);
        check_equal(mm_device_attach(d, peer.pid, 1, fd, &again), 0);
        check_equal(again, first);
        peer_end(&peer);
        /* It has ended, and the number is free for others. */
        check_equal(mm_device_attach(d, peer.pid, 2, fd, &again), -ESRCH);
        mm_device_sweep(d);
        other = start(d, &again);
        check_equal(again, first);
        /* Whoever has the pid now is not the one that was judged. */
        check_equal(mm_device_attach(d, other.pid, 2, fd, &again), -ESRCH);
        mm_device_free(d);
        close(fd);
}

static void refused(void) {
        struct mm_device *d;

        check_equal(setresuid(1000, 1000, 1000), 0);
        check_equal(mm_device_open(MERGEMOD_DEVICE, &d, NULL), -EACCES);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "library: scans, merges, unmerges, advises", merges },
                { "library: targets", targets },
                { "library: not for everybody", refused },
        };

        return CASES_RUN(argc, argv, cases);
}
