// SPDX-License-Identifier: LGPL-2.1-or-later
#include "held.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

static char *held;

long held_fill(long seed) {
        if (!held) {
                held = mmap((void *)HELD_ADDRESS, HELD * PAGE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
                check(held == (void *)HELD_ADDRESS);
                madvise(held, HELD * PAGE, MADV_NOHUGEPAGE);
        }
        pages_fill(held, HELD, seed);
        pages_settle();
        return 0;
}

long held_wrong(long seed) {
        return pages_wrong(held, HELD, seed);
}

long held_wrong_in_child(long seed) {
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(held_wrong(seed) ? 1 : 0);
        return waitpid(pid, &status, 0) != pid || status;
}

long held_write(long page) {
        held[page * PAGE] ^= 1;
        return 0;
}

struct herd herd_start_as(size_t n, long seed, uid_t uid) {
        struct herd herd = { .fd = device_open(), .n = n };

        for (size_t i = 0; i < n; i++) {
                herd.peers[i] = peer_start_as(uid);
                peer_call(&herd.peers[i], held_fill, seed);
                herd.targets[i] = device_attach(herd.fd, herd.peers[i].pid);
        }
        return herd;
}

struct herd herd_start(size_t n, long seed) {
        return herd_start_as(n, seed, 0);
}

size_t herd_merge(const struct herd *herd, struct mergemod_merge *merge) {
        struct mergemod_element elements[8 * HELD];

        for (size_t i = 0; i < herd->n; i++)
                elements_fill(elements + i * HELD, herd->targets[i], HELD_ADDRESS, HELD, 0);
        check_equal(device_merge(herd->fd, merge, elements, herd->n * HELD), 0);
        check_equal(merge->done, herd->n * HELD);
        check_equal(elements_count(elements, herd->n * HELD, 0), merge->merged);
        return merge->merged;
}

size_t herd_wrong(const struct herd *herd, long seed) {
        size_t wrong = 0;

        for (size_t i = 0; i < herd->n; i++)
                wrong += peer_call(&herd->peers[i], held_wrong, seed);
        return wrong;
}

void herd_end(struct herd *herd) {
        for (size_t i = 0; i < herd->n; i++)
                peer_end(&herd->peers[i]);
}

int held_merge_one(int fd, uint32_t target, uintptr_t address, struct mergemod_merge merge) {
        struct mergemod_element element = { .address = address, .target = target, .status = 1 };

        check_equal(device_merge(fd, &merge, &element, 1), 0);
        check_equal(merge.done, 1);
        return element.status;
}

void frames_gone(int fd) {
        uint64_t frames = 1;

        for (int i = 0; i < 30 && frames; i++) {
                frames = device_stats(fd).frames;
                if (frames)
                        sleep(1);
        }
        check_equal(frames, 0);
}
