// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pages that are swapped out and in: before and after merging, and meanwhile. The suite made /dev/zram0 a
 * swap device. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "case.h"
#include "hammer.h"
#include "held.h"
#include "knob.h"

#define SEED 61
#define SWAP "/dev/zram0"
#define MANY 4096

static long settle(long unused) {
        pages_settle();
        return 0;
}

/* All pages of a process of the test's cgroup. */
static void swap_out(pid_t pid) {
        for (int i = 0; i < 50 && kib_of(pid, "VmSwap") < (long)HELD * 4; i++)
                if (knob_try(CGROUP "/memory.reclaim", "64M") < 0)
                        usleep(10000);
        check_at_least(kib_of(pid, "VmSwap"), HELD * 4);
}

static void out_and_in(void) {
        cgroup_make();
        cgroup_put(0);
        for (long seed = 0; seed <= SEED; seed += SEED) {
                struct herd herd = herd_start(2, seed);
                struct mergemod_merge merge = {};

                for (size_t i = 0; i < herd.n; i++)
                        swap_out(herd.peers[i].pid);
                check_equal(herd_merge(&herd, &merge), 0);
                check_equal(held_merge_one(herd.fd, herd.targets[0], HELD_ADDRESS, merge), -ENODATA);
                check_equal(herd_wrong(&herd, seed), 0);
                for (size_t i = 0; i < herd.n; i++)
                        peer_call(&herd.peers[i], settle, 0);
                check_equal(herd_merge(&herd, &merge), 2 * HELD);
                check_equal(herd_wrong(&herd, seed), 0);
                peer_call(&herd.peers[0], held_fill, SEED + 1);
                check_equal(peer_call(&herd.peers[0], held_wrong, SEED + 1), 0);
                check_equal(peer_call(&herd.peers[1], held_wrong, seed), 0);
                herd_end(&herd);
        }
        cgroup_remove();
}

static void merged_stay(void) {
        struct mergemod_merge merge = {};
        struct herd herd;

        cgroup_make();
        cgroup_put(0);
        herd = herd_start(2, SEED);
        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        for (int i = 0; i < 10; i++)
                knob_try(CGROUP "/memory.reclaim", "64M");
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), HELD);
        check_equal(herd_wrong(&herd, SEED), 0);
        /* What was written is anonymous again, and goes. */
        peer_call(&herd.peers[0], held_fill, SEED + 1);
        swap_out(herd.peers[0].pid);
        check_equal(peer_call(&herd.peers[0], held_wrong, SEED + 1), 0);
        check_equal(peer_call(&herd.peers[1], held_wrong, SEED), 0);
        herd_end(&herd);
        cgroup_remove();
}

static int keeper_end = -1;
static pid_t keeper;

/* A child that has the same pages until keeper_wrong(). */
static long keep_in_child(long seed) {
        int ends[2];

        check(pipe(ends) == 0);
        keeper = fork();
        check(keeper >= 0);
        if (keeper == 0) {
                char end;

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(ends[1]);
                _exit(read(ends[0], &end, 1) != 0 || held_wrong(seed));
        }
        close(ends[0]);
        keeper_end = ends[1];
        return keeper;
}

static long keeper_wrong(long unused) {
        int status;

        close(keeper_end);
        return waitpid(keeper, &status, 0) != keeper || status;
}

/* One process has the pages back, in the swap cache; the other has them in the swap. */
static void shared_by_fork(void) {
        struct mergemod_merge merge = {};
        struct herd herd;
        pid_t child;

        cgroup_make();
        cgroup_put(0);
        herd = herd_start(2, SEED);
        child = peer_call(&herd.peers[0], keep_in_child, SEED);
        swap_out(herd.peers[0].pid);
        check_at_least(kib_of(child, "VmSwap"), HELD * 4);
        check_equal(herd_wrong(&herd, SEED), 0);
        for (size_t i = 0; i < herd.n; i++)
                peer_call(&herd.peers[i], settle, 0);
        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), HELD);
        peer_call(&herd.peers[0], held_write, 0);
        check_equal(peer_call(&herd.peers[0], held_wrong, SEED), 1);
        check_equal(peer_call(&herd.peers[0], keeper_wrong, 0), 0);
        check_equal(peer_call(&herd.peers[1], held_wrong, SEED), 0);
        herd_end(&herd);
        cgroup_remove();
}

static char *many;

static long many_fill(long seed) {
        if (!many)
                many = under_test(0, MANY);
        pages_fill(many, MANY, seed);
        return 0;
}

static long many_wrong(long seed) {
        return pages_wrong(many, MANY, seed);
}

/* More than the cgroup may have: something is always on its way out or in. Frames cannot go out; there must
 * be room beside them. */
static void crowded(void) {
        struct peer peers[2];
        long enough;

        knob_set("/sys/module/mergemod/parameters/max_frames", "1500");
        knob_set("/sys/module/mergemod/parameters/max_user_percent", "100");
        hammer_start();
        cgroup_make();
        knob_set(CGROUP "/memory.max", "20M");
        enough = vmstat("pswpout") + 1000;
        for (size_t i = 0; i < 2; i++) {
                peers[i] = peer_start();
                cgroup_put(peers[i].pid);
                hammer_add(peers[i].pid);
        }
        for (long round = 0; round < 2 || hammer_merged() < 1000 || vmstat("pswpout") < enough; round++) {
                for (size_t i = 0; i < 2; i++)
                        peer_call(&peers[i], many_fill, SEED + round / 2);
                for (size_t i = 0; i < 2; i++)
                        check_equal(peer_call(&peers[i], many_wrong, SEED + round / 2), 0);
        }
        hammer_stop();
        printf("# %lu pages merged\n", hammer_merged());
        for (size_t i = 0; i < 2; i++)
                peer_end(&peers[i]);
        cgroup_remove();
        knob_set("/sys/module/mergemod/parameters/max_frames", "0");
        knob_set("/sys/module/mergemod/parameters/max_user_percent", "75");
}

static void swap_off(void) {
        struct peer peers[2];

        hammer_start();
        cgroup_make();
        for (size_t i = 0; i < 2; i++) {
                peers[i] = peer_start();
                cgroup_put(peers[i].pid);
                hammer_add(peers[i].pid);
                peer_call(&peers[i], many_fill, SEED);
        }
        for (long round = 0; round < 4 || hammer_merged() < 1000; round++) {
                peer_call(&peers[round % 2], many_fill, SEED + round);
                knob_try(CGROUP "/memory.reclaim", "16M");
                check_equal(swapoff(SWAP), 0);
                check_equal(swapon(SWAP, 0), 0);
                check_equal(peer_call(&peers[round % 2], many_wrong, SEED + round), 0);
                if (round)
                        check_equal(peer_call(&peers[(round + 1) % 2], many_wrong, SEED + round - 1), 0);
        }
        hammer_stop();
        printf("# %lu pages merged\n", hammer_merged());
        for (size_t i = 0; i < 2; i++)
                peer_end(&peers[i]);
        cgroup_remove();
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "swap: out before merging, in again, merged", out_and_in },
                { "swap: merged pages stay, written ones go", merged_stay },
                { "swap: a page in the swap cache that another process has in the swap", shared_by_fork },
                { "swap: a cgroup that is too small, while pages are merged", crowded },
                { "swap: swapoff while pages are merged", swap_off },
        };

        return CASES_RUN(argc, argv, cases);
}
