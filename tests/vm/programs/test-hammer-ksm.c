// SPDX-License-Identifier: LGPL-2.1-or-later
/* KSM in three processes: its figures and the contents. Each process has two areas with the same contents,
 * one for KSM and one that is not. The suite sets how fast ksmd runs. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hammer.h"
#include "knob.h"
#include "pages.h"
#include "peer.h"

#define KSM "/sys/kernel/mm/ksm/"
#define PEERS 3
#define N 64
#define KSM_AREA (UNDER_TEST)
#define OTHER_AREA (UNDER_TEST + HUGE_PAGE * 8)

static long make_areas(long unused) {
        under_test(KSM_AREA - UNDER_TEST, N);
        under_test(OTHER_AREA - UNDER_TEST, N);
        check_equal(madvise(KSM_AREA, N * PAGE, MADV_MERGEABLE), 0);
        return 0;
}

/* All pages alike. */
static long fill(long seed) {
        for (size_t i = 0; i < N; i++) {
                pages_fill(KSM_AREA + i * PAGE, 1, seed);
                pages_fill(OTHER_AREA + i * PAGE, 1, seed);
        }
        return 0;
}

static long wrong(long seed) {
        long n = 0;

        for (size_t i = 0; i < N; i++)
                n += pages_wrong(KSM_AREA + i * PAGE, 1, seed) + pages_wrong(OTHER_AREA + i * PAGE, 1, seed);
        return n;
}

/* All but the last. */
static long fill_last(long seed) {
        pages_fill(KSM_AREA + (N - 1) * PAGE, 1, seed);
        return 0;
}

static void figures(long shared, long sharing, long unshared) {
        long now[3] = {};

        for (int i = 0; i < 600; i++) {
                now[0] = knob_get(KSM "pages_shared");
                now[1] = knob_get(KSM "pages_sharing");
                now[2] = knob_get(KSM "pages_unshared");
                if (now[0] == shared && now[1] == sharing && now[2] == unshared)
                        return;
                usleep(100000);
        }
        fail("shared, sharing, unshared are %ld, %ld, %ld, not %ld, %ld, %ld", now[0], now[1], now[2],
             shared, sharing, unshared);
}

#define STAGES 3

static void stages(const struct peer *peers) {
        static const long seeds[STAGES][PEERS] = { { 1, 2, 2 }, { 1, 1, 2 }, { 3, 3, 3 } };
        static const long contents[STAGES] = { 2, 2, 1 };

        for (size_t stage = 0; stage < STAGES; stage++) {
                for (size_t i = 0; i < PEERS; i++)
                        peer_call(&peers[i], fill, seeds[stage][i]);
                figures(contents[stage], PEERS * N - contents[stage], 0);
                for (size_t i = 0; i < PEERS; i++)
                        check_equal(peer_call(&peers[i], wrong, seeds[stage][i]), 0);
        }
        peer_call(&peers[0], fill_last, 4);
        figures(contents[STAGES - 1], PEERS * N - contents[STAGES - 1] - 1, 1);
        knob_set(KSM "run", "2");
        figures(0, 0, 0);
        check_equal(peer_call(&peers[1], wrong, 3) + peer_call(&peers[2], wrong, 3), 0);
}

static void start(struct peer *peers) {
        for (size_t i = 0; i < PEERS; i++) {
                peers[i] = peer_start();
                peer_call(&peers[i], make_areas, 0);
                if (hammer_is_on())
                        hammer_add(peers[i].pid);
        }
}

static void end(struct peer *peers) {
        for (size_t i = 0; i < PEERS; i++)
                peer_end(&peers[i]);
}

static void contents(void) {
        struct peer peers[PEERS];

        hammer_begin();
        start(peers);
        while (hammer_round()) {
                knob_set(KSM "run", "1");
                stages(peers);
        }
        end(peers);
}

static void in_cgroup(void) {
        struct peer peers[PEERS];

        cgroup_make();
        knob_set(CGROUP "/memory.max", "64M");
        hammer_begin();
        start(peers);
        for (size_t i = 0; i < PEERS; i++)
                cgroup_put(peers[i].pid);
        while (hammer_round()) {
                knob_set(KSM "run", "1");
                stages(peers);
        }
        end(peers);
        cgroup_remove();
}

/* A process that dies while ksmd, and the hammer, are at it. */
static void faults(void) {
        knob_set(KSM "run", "1");
        hammer_begin();
        while (hammer_round()) {
                for (int i = 0; i < 10; i++) {
                        int status;
                        pid_t pid = fork();

                        if (pid == 0) {
                                make_areas(0);
                                fill(5);
                                if (hammer_is_on())
                                        hammer_add(getpid());
                                usleep(i * 2000);
                                *(volatile char *)NULL = 1;
                        }
                        check_equal(waitpid(pid, &status, 0), pid);
                        check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
                }
        }
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "KSM: three processes with changing contents", contents },
                { "KSM: in a cgroup with little memory", in_cgroup },
                { "KSM: processes that die of a fault", faults },
        };

        return HAMMER_CASES_RUN(argc, argv, cases);
}
