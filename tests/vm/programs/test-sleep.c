// SPDX-License-Identifier: LGPL-2.1-or-later
/* The machine sleeps while pages are merged. The suite made a disk a swap device, for the second half. */
#include <unistd.h>

#include "case.h"
#include "hammer.h"
#include "held.h"
#include "knob.h"

#define SEED 201

/* Two merged processes, and two that the hammer is at while it happens. */
static void around(void (*sleeps)(void)) {
        struct herd herd = herd_start(2, SEED);
        struct mergemod_merge merge = {};
        struct peer peers[2];

        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        hammer_start();
        for (size_t i = 0; i < 2; i++) {
                peers[i] = peer_start();
                hammer_add(peers[i].pid);
                peer_call(&peers[i], held_fill, SEED + 1);
        }
        for (long round = 0; round < 2; round++) {
                sleeps();
                check_equal(herd_wrong(&herd, SEED), 0);
                check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), HELD);
                for (size_t i = 0; i < 2; i++) {
                        check_equal(peer_call(&peers[i], held_wrong, SEED + 1 + round), 0);
                        peer_call(&peers[i], held_fill, SEED + 2 + round);
                }
        }
        for (long i = 0; i < HELD; i++)
                peer_call(&herd.peers[0], held_write, i);
        check_equal(peer_call(&herd.peers[0], held_wrong, SEED), HELD);
        check_equal(peer_call(&herd.peers[1], held_wrong, SEED), 0);
        hammer_stop();
        for (size_t i = 0; i < 2; i++)
                peer_end(&peers[i]);
        herd_end(&herd);
}

static void suspend(void) {
        knob_set("/sys/power/pm_test", "devices");
        knob_set("/sys/power/state", "mem");
}

static void suspends(void) {
        around(suspend);
}

static void hibernate(void) {
        knob_set("/sys/power/pm_test", "none");
        knob_set("/sys/power/disk", "shutdown");
        knob_set("/sys/power/state", "disk");
}

static void hibernates(void) {
        around(hibernate);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "sleep: devices are suspended", suspends },
                { "sleep: hibernation", hibernates },
        };

        return CASES_RUN(argc, argv, cases);
}
