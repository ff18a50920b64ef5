// SPDX-License-Identifier: LGPL-2.1-or-later
/* CPUs that come and go while pages are merged. */
#include <sys/mman.h>
#include <unistd.h>

#include "case.h"
#include "hammer.h"
#include "held.h"
#include "knob.h"

#define SEED 151
#define ONLINE "/sys/devices/system/cpu/cpu1/online"

static void hotplug(void) {
        struct peer peers[2];
        int fd = device_open();

        hammer_start();
        for (size_t i = 0; i < 2; i++) {
                peers[i] = peer_start();
                hammer_add(peers[i].pid);
        }
        for (long round = 0; round < 20; round++) {
                knob_set(ONLINE, round % 2 ? "1" : "0");
                for (size_t i = 0; i < 2; i++)
                        peer_call(&peers[i], held_fill, SEED + round);
                usleep(50000);
                for (size_t i = 0; i < 2; i++)
                        check_equal(peer_call(&peers[i], held_wrong, SEED + round), 0);
        }
        hammer_stop();
        check_at_least(device_stats(fd).merged, 1000);
        for (size_t i = 0; i < 2; i++)
                peer_end(&peers[i]);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "CPUs: one comes and goes while pages are merged", hotplug },
        };

        return CASES_RUN(argc, argv, cases);
}
