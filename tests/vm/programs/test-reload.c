// SPDX-License-Identifier: LGPL-2.1-or-later
/* The module goes while pages are merged, and comes back. */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "case.h"
#include "held.h"

#define SEED 41

static void reload(void) {
        struct herd herd = herd_start(3, SEED);
        struct mergemod_merge merge = {};
        int module = open("mergemod.ko", O_RDONLY | O_CLOEXEC);

        check(module >= 0);
        check_equal(herd_merge(&herd, &merge), 3 * HELD);
        check_equal(syscall(SYS_delete_module, "mergemod", O_NONBLOCK), -1);
        check_equal(errno, EWOULDBLOCK);
        close(herd.fd);
        check_equal(syscall(SYS_delete_module, "mergemod", O_NONBLOCK), 0);
        check_equal(herd_wrong(&herd, SEED), 0);
        peer_call(&herd.peers[0], held_write, 1);
        peer_call(&herd.peers[0], held_write, 1);
        peer_end(&herd.peers[2]);
        check_equal(syscall(SYS_finit_module, module, "", 0), 0);

        herd.fd = device_open();
        herd.n = 2;
        for (size_t i = 0; i < herd.n; i++)
                herd.targets[i] = device_attach(herd.fd, herd.peers[i].pid);
        check_equal(held_merge_one(herd.fd, herd.targets[1], HELD_ADDRESS, merge), -EALREADY);
        check_equal(device_unmerge(herd.fd, herd.targets[0], HELD_ADDRESS, HELD, 0), HELD - 1);
        check_equal(device_unmerge(herd.fd, herd.targets[1], HELD_ADDRESS, HELD, 0), HELD);
        pages_settle();
        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        check_equal(herd_wrong(&herd, SEED), 0);
        herd_end(&herd);
        frames_gone(herd.fd);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "unloaded and loaded while pages are merged", reload },
        };

        return CASES_RUN(argc, argv, cases);
}
