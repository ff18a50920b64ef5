// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pages that the kernel moves: compaction, NUMA balancing, move_pages, migrate_pages. The machine has two
 * nodes. */
#include <errno.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "case.h"
#include "hammer.h"
#include "held.h"
#include "knob.h"
#include "twin.h"

#define SEED 71
#define N 512

/* Statuses per page: the node, or -errno. */
static void move_to(const char *address, size_t n, int node, int *ret_status) {
        void *pages[N];
        int nodes[N];

        for (size_t i = 0; i < n; i++) {
                pages[i] = (void *)(address + i * PAGE);
                nodes[i] = node;
        }
        check_at_least(syscall(SYS_move_pages, 0, n, pages, node < 0 ? NULL : nodes, ret_status,
                               node < 0 ? 0 : MPOL_MF_MOVE_ALL), 0);
}

static size_t on_node(const char *address, size_t n, int node) {
        size_t count = 0;
        int status[N];

        move_to(address, n, -1, status);
        for (size_t i = 0; i < n; i++)
                count += status[i] == node;
        return count;
}

static long fill_on_node(long node) {
        unsigned long mask = 1UL << node;

        check_equal(syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8 * sizeof(mask)), 0);
        check_equal(madvise((void *)HELD_ADDRESS, HELD * PAGE, MADV_DONTNEED), 0);
        held_fill(SEED);
        return on_node((char *)HELD_ADDRESS, HELD, node);
}

/* Equal pages of two nodes get a frame on each. */
static void frames_per_node(void) {
        struct herd herd = herd_start(4, SEED + 1);
        struct mergemod_merge merge = {};

        for (size_t i = 0; i < 4; i++)
                check_equal(peer_call(&herd.peers[i], fill_on_node, i % 2), HELD);
        check_equal(herd_merge(&herd, &merge), 4 * HELD);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[2].pid, HELD_ADDRESS, HELD), HELD);
        check_equal(pages_shared(herd.peers[1].pid, herd.peers[3].pid, HELD_ADDRESS, HELD), HELD);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), 0);
        check_equal(herd_wrong(&herd, SEED), 0);
        herd_end(&herd);
}

static void move_merged(void) {
        struct twin twin = twin_merged(N, SEED);
        int node = on_node(twin.a, N, 0) == N ? 1 : 0, status[N];
        unsigned long from = 1UL << !node, to = 1UL << node;

        move_to(twin.a, N, node, status);
        for (size_t i = 0; i < N; i++)
                check(status[i] < 0);
        syscall(SYS_migrate_pages, 0, 8 * sizeof(from), &from, &to);
        check_equal(twin_shared(&twin), N);
        check_equal(on_node(twin.a, N, node), 0);
        /* Written, they are like any others. */
        pages_fill(twin.a, N, SEED + 1);
        pages_settle();
        move_to(twin.a, N, node, status);
        check_at_least(on_node(twin.a, N, node), N * 9 / 10);
        check_equal(pages_wrong(twin.a, N, SEED + 1), 0);
        check_equal(twin_wrong(&twin), 0);
        twin_end(&twin);
}

/* Writes and looks, on whatever CPU, until told to stop. */
static atomic_bool stop;
static atomic_ulong rounds;

static void *write_and_look(void *argument) {
        char *pages = argument;

        for (long seed = SEED; !stop; seed++) {
                pages_fill(pages, N, seed);
                for (int i = 0; i < 3; i++) {
                        if (pages_wrong(pages, N, seed))
                                fail("%zu pages are wrong", pages_wrong(pages, N, seed));
                        usleep(1000);
                }
                rounds++;
        }
        return NULL;
}

/* @disturb is done again and again while two threads work and their pages are merged, until the kernel has
 * moved so many. */
static void disturbed(void (*disturb)(unsigned round, char *pages), const char *counter, long moved_min) {
        long before = vmstat(counter), moved = 0;
        pthread_t threads[2];
        char *pages;

        hammer_start();
        pages = under_test(0, 2 * N);
        for (size_t i = 0; i < 2; i++)
                check_equal(pthread_create(&threads[i], NULL, write_and_look, pages + i * N * PAGE), 0);
        for (unsigned round = 0; rounds < 30 || hammer_merged() < 2000 || moved < moved_min; round++) {
                disturb(round, pages);
                moved = vmstat(counter) - before;
        }
        stop = true;
        for (size_t i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        hammer_stop();
        printf("# %lu rounds, %lu pages merged, %ld moved\n", rounds, hammer_merged(), moved);
}

static void compact(unsigned round, char *pages) {
        knob_set("/proc/sys/vm/compact_memory", "1");
}

/* Something to compact: a large area of which every other page is free. */
static long make_holes(long n) {
        char *holes = pages_map(n);

        memset(holes, 1, n * PAGE);
        for (long i = 0; i < n; i += 2)
                check_equal(madvise(holes + i * PAGE, PAGE, MADV_DONTNEED), 0);
        return 0;
}

static void compaction(void) {
        struct peer peer = peer_start();

        peer_call(&peer, make_holes, 65536);
        disturbed(compact, "pgmigrate_success", 1000);
        peer_end(&peer);
}

static void move_about(unsigned round, char *pages) {
        int status[N];

        move_to(pages + round % 2 * N * PAGE, N, round / 2 % 2, status);
}

static void moves(void) {
        disturbed(move_about, "pgmigrate_success", 1000);
}

/* To the other node; that the CPUs are on the first brings them back. */
static void push_away(unsigned round, char *pages) {
        move_about(2, pages);
        move_about(3, pages);
        usleep(200000);
}

static void balancing(void) {
        knob_set("/proc/sys/kernel/numa_balancing", "1");
        knob_set("/sys/kernel/debug/sched/numa_balancing/scan_period_min_ms", "10");
        knob_set("/sys/kernel/debug/sched/numa_balancing/scan_period_max_ms", "20");
        knob_set("/sys/kernel/debug/sched/numa_balancing/scan_delay_ms", "1");
        disturbed(push_away, "numa_pages_migrated", 100);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "migration: frames for each node", frames_per_node },
                { "migration: merged pages are not moved, written ones are", move_merged },
                { "migration: compaction while pages are merged", compaction },
                { "migration: move_pages while pages are merged", moves },
                { "migration: NUMA balancing while pages are merged", balancing },
        };

        return CASES_RUN(argc, argv, cases);
}
