// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory cgroups that are full, and the OOM killer. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "hammer.h"
#include "held.h"
#include "knob.h"

#define SEED 141
#define MIB_PAGES 256L
#define LIMIT_MIB 64
#define WANTED_MIB 512

/* Shared by all. */
static struct {
        atomic_long held_mib[2];
        atomic_long wrong;
} *board;

/* Holds ever more pages that differ from each other, and that the other process has too. */
static void grow(int which) {
        char *area = under_test(0, WANTED_MIB * MIB_PAGES);

        for (long mib = 0; mib < WANTED_MIB; mib++) {
                pages_fill(area + mib * MIB_PAGES * PAGE, MIB_PAGES, SEED + mib);
                board->held_mib[which] = mib + 1;
                /* Time to be merged. */
                usleep(20000);
                for (long i = 0; i <= mib; i += 1 + mib / 4)
                        board->wrong += pages_wrong(area + i * MIB_PAGES * PAGE, MIB_PAGES, SEED + i);
        }
}

static pid_t start_in_cgroup(int which) {
        int gate[2];
        pid_t pid;

        check_equal(pipe(gate), 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                char byte;

                close(gate[1]);
                check_equal(read(gate[0], &byte, 1), 1);
                grow(which);
                _exit(0);
        }
        cgroup_put(pid);
        hammer_add(pid);
        check_equal(write(gate[1], "", 1), 1);
        close(gate[0]);
        close(gate[1]);
        return pid;
}

/* A gibibyte between them, in 64 MiB. */
static void too_much(void) {
        pid_t pids[2];
        long most = 0, kills;
        int left = 2;

        board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        check(board != MAP_FAILED);
        cgroup_make();
        kills = cgroup_events("oom_kill");
        knob_set(CGROUP "/memory.max", "64M");
        knob_set(CGROUP "/memory.swap.max", "0");
        hammer_start();
        for (int i = 0; i < 2; i++)
                pids[i] = start_in_cgroup(i);
        while (left) {
                int status;
                pid_t pid = waitpid(-1, &status, WNOHANG);

                if (pid == pids[0] || pid == pids[1]) {
                        check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
                        left--;
                }
                if (knob_get(CGROUP "/memory.current") > most)
                        most = knob_get(CGROUP "/memory.current");
                usleep(10000);
        }
        hammer_stop();
        printf("# %ld and %ld MiB held, at most %ld KiB charged, %lu pages merged\n", board->held_mib[0],
               board->held_mib[1], most / 1024, hammer_merged());
        check_equal(board->wrong, 0);
        check_at_least(hammer_merged(), 1000);
        check_at_least(cgroup_events("oom_kill") - kills, 2);
        check_at_least(LIMIT_MIB * 1024 * 1024, most);
        /* What one holds the other may hold too: no more than that is to be had. */
        check_at_least(LIMIT_MIB, board->held_mib[0]);
        check_at_least(LIMIT_MIB, board->held_mib[1]);
        cgroup_remove();
}

/* A cgroup goes whose frames others still use. */
static void outlived(void) {
        struct herd herd = herd_start(2, SEED);
        struct mergemod_merge merge = {};

        cgroup_make();
        cgroup_put(herd.peers[0].pid);
        merge.domain = MERGEMOD_DOMAIN_SYSTEM;
        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), HELD);
        peer_end(&herd.peers[0]);
        cgroup_remove();
        check_equal(peer_call(&herd.peers[1], held_wrong, SEED), 0);
        peer_call(&herd.peers[1], held_fill, SEED + 1);
        check_equal(peer_call(&herd.peers[1], held_wrong, SEED + 1), 0);
        peer_end(&herd.peers[1]);
        frames_gone(herd.fd);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "full: two processes cannot hold more by being merged", too_much },
                { "full: a cgroup is removed before its frames", outlived },
        };

        return CASES_RUN(argc, argv, cases);
}
