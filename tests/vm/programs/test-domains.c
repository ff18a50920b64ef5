// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who shares with whom. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "case.h"
#include "held.h"

#define SEED 31

/* Two processes with equal pages, each merged by itself: pages that they share then. */
static size_t shared_alone(struct herd *a, struct herd *b, struct mergemod_merge merge) {
        struct mergemod_merge again = merge;

        check_equal(herd_merge(a, &merge), HELD);
        check_equal(herd_merge(b, &again), HELD);
        check_equal(herd_wrong(a, SEED) + herd_wrong(b, SEED), 0);
        return pages_shared(a->peers[0].pid, b->peers[0].pid, HELD_ADDRESS, HELD);
}

static size_t users_share(uid_t a, uid_t b, struct mergemod_merge merge, struct mergemod_merge other) {
        struct herd first = herd_start_as(1, SEED, a), second = herd_start_as(1, SEED, b);
        size_t shared;

        check_equal(herd_merge(&first, &merge), HELD);
        check_equal(herd_merge(&second, &other), HELD);
        shared = pages_shared(first.peers[0].pid, second.peers[0].pid, HELD_ADDRESS, HELD);
        check_equal(herd_wrong(&first, SEED) + herd_wrong(&second, SEED), 0);
        herd_end(&first);
        herd_end(&second);
        return shared;
}

static void users(void) {
        struct mergemod_merge plain = {}, narrow = { .narrow = 5 };
        struct mergemod_merge system = { .domain = MERGEMOD_DOMAIN_SYSTEM };
        struct mergemod_merge session = { .domain = MERGEMOD_DOMAIN_SESSION };

        check_equal(users_share(1000, 1000, plain, plain), HELD);
        check_equal(users_share(1000, 1001, plain, plain), 0);
        check_equal(users_share(0, 1000, plain, plain), 0);
        check_equal(users_share(1000, 1000, plain, narrow), 0);
        check_equal(users_share(1000, 1000, narrow, narrow), HELD);
        check_equal(users_share(1000, 1001, system, system), HELD);
        check_equal(users_share(1000, 1000, system, plain), 0);
        check_equal(users_share(1000, 1000, session, session), 0);
}

static void one_group(void) {
        struct herd herd = herd_start_as(1, SEED, 1000);
        struct mergemod_merge merge = {}, session = { .domain = MERGEMOD_DOMAIN_SESSION };
        uint64_t before = device_stats(herd.fd).refused_domain;

        herd.peers[1] = peer_start_as(1001);
        peer_call(&herd.peers[1], held_fill, SEED);
        herd.targets[1] = device_attach(herd.fd, herd.peers[1].pid);
        herd.n = 2;
        check_equal(herd_merge(&herd, &merge), HELD);
        check_equal(device_stats(herd.fd).refused_domain - before, HELD);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), 0);
        check_equal(device_unmerge(herd.fd, herd.targets[0], HELD_ADDRESS, HELD, 0), HELD);
        pages_settle();
        check_equal(herd_merge(&herd, &session), 2 * HELD);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), HELD);
        check_equal(herd_wrong(&herd, SEED), 0);
        herd_end(&herd);
}

static void put_into(const char *cgroup, pid_t pid) {
        char path[128];
        FILE *f;

        mkdir(cgroup, 0755);
        snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
        f = fopen(path, "we");
        check(f && fprintf(f, "%d", (int)pid) > 0 && fclose(f) == 0);
}

static void cgroups(void) {
        struct herd a = herd_start(1, SEED), b = herd_start(1, SEED);
        struct mergemod_merge merge = {};
        int fd;

        put_into("/sys/fs/cgroup/one", a.peers[0].pid);
        put_into("/sys/fs/cgroup/two", b.peers[0].pid);
        check_equal(shared_alone(&a, &b, merge), 0);
        herd_end(&a);
        herd_end(&b);

        a = herd_start_as(1, SEED, 1000), b = herd_start_as(1, SEED, 1001);
        put_into("/sys/fs/cgroup/one", a.peers[0].pid);
        put_into("/sys/fs/cgroup/one/below", b.peers[0].pid);
        fd = open("/sys/fs/cgroup/one", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        merge = (struct mergemod_merge){ .domain = MERGEMOD_DOMAIN_CGROUP, .cgroup_fd = fd };
        check_equal(shared_alone(&a, &b, merge), HELD);
        close(fd);
        fd = open("/sys/fs/cgroup/two", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        merge = (struct mergemod_merge){ .domain = MERGEMOD_DOMAIN_CGROUP, .cgroup_fd = fd };
        check_equal(held_merge_one(a.fd, a.targets[0], HELD_ADDRESS, merge), -EXDEV);
        herd_end(&a);
        herd_end(&b);
}

static long new_mounts(long unused) {
        return unshare(CLONE_NEWNS);
}

static void namespaces(void) {
        struct herd a = herd_start(1, SEED), b = herd_start(1, SEED);

        check_equal(peer_call(&a.peers[0], new_mounts, 0), 0);
        check_equal(shared_alone(&a, &b, (struct mergemod_merge){}), 0);
        herd_end(&a);
        herd_end(&b);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "domains: users, narrowing, sessions, the system", users },
                { "domains: two users in one group", one_group },
                { "domains: root in two cgroups, two users in one", cgroups },
                { "domains: mount namespaces", namespaces },
        };

        return CASES_RUN(argc, argv, cases);
}
