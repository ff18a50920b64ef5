// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory cgroups that are full, and the OOM killer. The suite made /dev/zram1. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "hammer.h"
#include "held.h"
#include "knob.h"
#include "watch.h"

#define SEED 141
#define MIB_PAGES 256L
#define LIMIT_MIB 64
#define WANTED_MIB 512
#define DISK "/dev/zram1"

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

/* Two in a cgroup. */
static struct herd herd_in_cgroup(void) {
        struct herd herd = herd_start(2, SEED);

        cgroup_make();
        for (size_t i = 0; i < herd.n; i++)
                cgroup_put(herd.peers[i].pid);
        for (size_t i = 0; i < herd.n; i++)
                peer_call(&herd.peers[i], held_fill, SEED + 1);
        return herd;
}

static void leave_little_room(void) {
        knob_set(CGROUP "/memory.swap.max", "0");
        knob_set_number(CGROUP "/memory.max", (knob_get(CGROUP "/memory.current") / PAGE + 8) * PAGE);
}

static void make_room(void) {
        knob_set(CGROUP "/memory.max", "max");
        knob_set(CGROUP "/memory.swap.max", "max");
}

/* Leaves the disk open: with the last to close it what is cached of it goes. */
static long read_disk(long unused) {
        static char buffer[1 << 16];
        int fd = open(DISK, O_RDONLY | O_CLOEXEC);
        long bytes = 0;
        ssize_t n;

        while ((n = read(fd, buffer, sizeof(buffer))) > 0)
                bytes += n;
        return bytes;
}

/* What can be reclaimed is, for frames. */
static void cached(void) {
        struct herd herd = herd_in_cgroup();
        struct mergemod_merge merge = {};
        long cached;

        cached = peer_call(&herd.peers[0], read_disk, 0);
        check_at_least(knob_get(CGROUP "/memory.current"), cached);
        leave_little_room();
        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        make_room();
        check_equal(herd_wrong(&herd, SEED + 1), 0);
        herd_end(&herd);
        cgroup_remove();
}

static struct watch watch;

static long watch_first(long unused) {
        watch_start(&watch, (char *)HELD_ADDRESS, 1, SEED + 1);
        return 0;
}

static long end_watch(long unused) {
        watch_end(&watch);
        return 0;
}

/* Who is unmerged is not killed for it. One page cannot be, for another reason. */
static void unmerged(void) {
        struct herd herd = herd_in_cgroup();
        struct mergemod_merge merge = {};
        struct mergemod_range range = { .start = HELD_ADDRESS, .end = HELD_ADDRESS + HELD * PAGE,
                                        .target = herd.targets[0] };
        struct mergemod_ranges ranges = { .ranges = (uintptr_t)&range, .n_ranges = 1 };
        long kills;

        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        peer_call(&herd.peers[0], watch_first, 0);
        pages_settle();
        kills = cgroup_events("oom_kill");
        leave_little_room();
        check_equal(device_call(herd.fd, MERGEMOD_UNMERGE, &ranges), 0);
        check_equal(ranges.done, 1);
        check_equal(range.status, -ENOMEM);
        check_at_least(range.pages, 1);
        check(range.pages < HELD - 1);
        check_equal(range.start, HELD_ADDRESS + (1 + range.pages) * PAGE);
        make_room();
        peer_call(&herd.peers[0], end_watch, 0);
        check_equal(cgroup_events("oom_kill"), kills);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD),
                    HELD - range.pages);
        check_equal(herd_wrong(&herd, SEED + 1), 0);
        check_equal(device_unmerge(herd.fd, herd.targets[0], HELD_ADDRESS, HELD, 0), HELD - range.pages);
        check_equal(herd_wrong(&herd, SEED + 1), 0);
        herd_end(&herd);
        cgroup_remove();
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "full: two processes cannot hold more by being merged", too_much },
                { "full: page cache makes room for frames", cached },
                { "full: what is unmerged is not killed for it", unmerged },
                { "full: a cgroup is removed before its frames", outlived },
        };

        return CASES_RUN(argc, argv, cases);
}
