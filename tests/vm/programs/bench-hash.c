// SPDX-License-Identifier: LGPL-2.1-or-later
/* A process's pages hashed where they are, by mergemod's HASH, beside the same hash over memory of one's
 * own, and beside copying them through /proc/PID/mem first. For tests/bench/run hash. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "case.h"
#include "device.h"
#include "hashes.h"
#include "lib/mmlib.h"
#include "pages.h"

/* So much that what opens and checks in each call, 2 ms in a virtual machine, is little beside it. */
#define MIB 256
#define N (MIB * 256)
#define AREA ((char *)0x300000000000UL)
#define SEED 7
#define ROUNDS 15
/* Copied at once: what fits the nearer caches. */
#define CHUNK 32

static long fill(long seed) {
        check(mmap(AREA, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                   -1, 0) == AREA);
        madvise(AREA, N * PAGE, MADV_NOHUGEPAGE);
        pages_fill(AREA, N, seed);
        pages_settle();
        return 0;
}

static uint64_t now_nsec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static struct mergemod_page pages[N];
static uint64_t found[N];
static pid_t pid;

static void hash_local(const struct hash *hash) {
        for (size_t i = 0; i < N; i++)
                found[i] = hash->of(AREA + i * PAGE, SEED);
}

/* As the library does, frames and counts included. */
static void hash_in_kernel(const struct hash *hash) {
        static uint32_t target;
        static int fd = -1;
        struct mergemod_scan call = { .flags = hash->flag | MERGEMOD_SCAN_COUNT, .seed = SEED,
                                      .pages = (uintptr_t)pages, .n_pages = N };

        if (fd < 0) {
                fd = device_open();
                target = device_attach(fd, pid);
        }
        call.target = target;
        check_equal(device_call(fd, MERGEMOD_HASH, &call), 0);
        check_equal(call.done, N);
}

/* The same through m_hashpages(), in the order of the hashes. */
static void hash_by_library(const struct hash *hash) {
        static unsigned long (*const functions[HASHES])(const void *, size_t) = {
                m_hash_addrothalf, m_hash_xxh64, m_hash_sample, m_hash_const
        };
        static MPAGEINFO infos[N];

        for (size_t j = 0; j < N; j++)
                infos[j].v_addr = AREA + j * PAGE;
        check_equal(m_hashpages(pid, infos, N, functions[hash - hashes]), N);
        check_equal(infos[0].hash, hash->of(AREA, 0));
        check_equal(infos[N - 1].hash, hash->of(AREA + (N - 1) * PAGE, 0));
}

static void hash_copies(const struct hash *hash) {
        static char copy[CHUNK * PAGE] __attribute__((aligned(PAGE)));
        static int fd = -1;

        if (fd < 0) {
                char path[64];

                snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                check(fd >= 0);
        }
        for (size_t i = 0; i < N; i += CHUNK) {
                check_equal(pread(fd, copy, sizeof(copy), (uintptr_t)AREA + i * PAGE), sizeof(copy));
                for (size_t j = 0; j < CHUNK; j++)
                        found[i + j] = hash->of(copy + j * PAGE, SEED);
        }
}

struct way {
        const char *name;
        void (*run)(const struct hash *hash);
};

static const struct way ways[] = {
        { "local", hash_local },
        { "kernel", hash_in_kernel },
        { "library", hash_by_library },
        { "copy", hash_copies },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* Of the rounds that which was disturbed least: what else the machine does only ever adds. */
static double nsec[HASHES][WAYS];

static void measure(size_t i, size_t way) {
        uint64_t start = now_nsec();
        double each;

        ways[way].run(&hashes[i]);
        each = (now_nsec() - start) / (double)N;
        if (!nsec[i][way] || each < nsec[i][way])
                nsec[i][way] = each;
}

/* All ways gave the same. */
static void compare(void) {
        for (size_t j = 0; j < N; j++) {
                check_equal(pages[j].status, 1);
                check_equal(pages[j].hash, found[j]);
        }
}

int main(int argc, char **argv) {
        struct peer peer = peer_start();
        struct utsname name;

        pid = peer.pid;
        fill(SEED);
        peer_call(&peer, fill, SEED);
        for (size_t j = 0; j < N; j++)
                pages[j].address = (uintptr_t)AREA + j * PAGE;
        for (size_t round = 0; round < ROUNDS; round++)
                for (size_t i = 0; i < HASHES; i++) {
                        for (size_t way = 0; way < WAYS; way++)
                                measure(i, way);
                        compare();
                }
        uname(&name);
        printf("result {\"kernel\":\"%s\",\"pages\":%lu,\"hashes\":[", name.release, (unsigned long)N);
        for (size_t i = 0; i < HASHES; i++) {
                printf("%s{\"name\":\"%s\"", i ? "," : "", hashes[i].name);
                for (size_t way = 0; way < WAYS; way++)
                        printf(",\"%s_nsec\":%.1f", ways[way].name, nsec[i][way]);
                printf("}");
        }
        printf("]}\n");
        peer_end(&peer);
        return 0;
}
