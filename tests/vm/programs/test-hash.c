// SPDX-License-Identifier: LGPL-2.1-or-later
/* The hashes of HASH and SCAN, and how often pages are mapped. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "case.h"
#include "hashes.h"
#include "held.h"

#define SEED 33
#define END (HELD_ADDRESS + HELD * PAGE)

static void hash(int fd, uint32_t target, uint32_t flags, uint64_t seed, struct mergemod_page *pages,
                 uint32_t n) {
        struct mergemod_scan call = { .target = target, .flags = flags, .seed = seed,
                                      .pages = (uintptr_t)pages, .n_pages = n };

        check_equal(device_call(fd, MERGEMOD_HASH, &call), 0);
        check_equal(call.done, n);
}

static void hash_held(const struct herd *herd, uint32_t flags, uint64_t seed, struct mergemod_page *pages) {
        for (size_t i = 0; i < HELD; i++)
                pages[i] = (struct mergemod_page){ .address = HELD_ADDRESS + i * PAGE };
        hash(herd->fd, herd->targets[0], flags, seed, pages, HELD);
}

static void scan_held(const struct herd *herd, unsigned long request, uint32_t flags, uint64_t seed,
                      struct mergemod_page *pages) {
        struct mergemod_scan call = { .target = herd->targets[0], .flags = flags, .seed = seed,
                                      .start = HELD_ADDRESS, .end = END, .pages = (uintptr_t)pages,
                                      .n_pages = HELD };

        check_equal(device_call(herd->fd, request, &call), 0);
        check_equal(call.done, HELD);
}

static void as_programs_do(void) {
        static const uint64_t seeds[] = { 0, 1, 0xfedcba9876543210 };
        struct herd herd = herd_start(1, SEED);
        struct mergemod_page hashed[HELD], scanned[HELD];
        char *same = pages_map(HELD);

        pages_fill(same, HELD, SEED);
        for (size_t i = 0; i < HASHES; i++)
                for (size_t s = 0; s < 3; s++) {
                        hash_held(&herd, hashes[i].flag, seeds[s], hashed);
                        scan_held(&herd, MERGEMOD_SCAN, hashes[i].flag, seeds[s], scanned);
                        for (size_t j = 0; j < HELD; j++) {
                                check_equal(hashed[j].status, 0);
                                check_equal(hashed[j].flags, 0);
                                check_equal(hashed[j].hash, hashes[i].of(same + j * PAGE, seeds[s]));
                                check_equal(scanned[j].hash, hashed[j].hash);
                                check_equal(scanned[j].frame, hashed[j].frame);
                        }
                }
        herd_end(&herd);
}

/* Also when they are the kernel's zero page. */
static void of_zeros(void) {
        struct herd herd = herd_start(1, 0);
        static const char zeros[PAGE] __attribute__((aligned(PAGE)));
        struct mergemod_page pages[HELD];
        struct mergemod_merge merge = {};

        for (int merged = 0; merged < 2; merged++) {
                for (size_t i = 0; i < HASHES; i++) {
                        uint32_t flags = merged ? MERGEMOD_PAGE_ZERO | MERGEMOD_PAGE_ZEROS :
                                         hashes[i].flag ? 0 : MERGEMOD_PAGE_ZEROS;

                        hash_held(&herd, hashes[i].flag, SEED, pages);
                        for (size_t j = 0; j < HELD; j++) {
                                check_equal(pages[j].hash, hashes[i].of(zeros, SEED));
                                check_equal(pages[j].flags, flags);
                        }
                        scan_held(&herd, MERGEMOD_SCAN,
                                  hashes[i].flag | MERGEMOD_SCAN_ZEROS | MERGEMOD_SCAN_MERGED, SEED, pages);
                        for (size_t j = 0; j < HELD; j++) {
                                check_equal(pages[j].hash, hashes[i].of(zeros, SEED));
                                check(pages[j].flags & MERGEMOD_PAGE_ZEROS);
                        }
                }
                if (!merged)
                        check_equal(herd_merge(&herd, &merge), HELD);
        }
        herd_end(&herd);
}

/* Areas of three page tables, one of them with a hole, and one that is not read. */
#define SPOTS 5
static char *const spots[SPOTS] = {
        (char *)0x300000000000UL, (char *)0x300000002000UL, (char *)0x3000001ff000UL,
        (char *)0x300000200000UL, (char *)0x300040000000UL,
};
static const int expected[SPOTS] = { 0, 0, 0, -ENODATA, 0 };

static void map_spots(void) {
        for (size_t i = 0; i < SPOTS; i++) {
                check(mmap(spots[i], PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == spots[i]);
                pages_fill(spots[i], 1, SEED + i);
        }
        check_equal(madvise(spots[3], PAGE, MADV_DONTDUMP), 0);
}

/* Whatever the order of addresses is, and whatever lies between them. */
static void any_order(void) {
        struct mergemod_page pages[256];
        uint64_t addresses[256], state = SEED;
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());
        size_t which[256];

        map_spots();
        for (size_t i = 0; i < 256; i++) {
                state = state * 6364136223846793005 + 1442695040888963407;
                which[i] = (state >> 40) % (SPOTS + 3);
                addresses[i] = which[i] < SPOTS ? (uintptr_t)spots[which[i]] :
                               which[i] == SPOTS ? (uintptr_t)spots[0] + PAGE :
                               which[i] == SPOTS + 1 ? (uintptr_t)spots[0] + 8 : UINT64_MAX - PAGE + 1;
                pages[i] = (struct mergemod_page){ .address = addresses[i], .status = 1, .hash = 1 };
        }
        hash(fd, target, MERGEMOD_SCAN_ADDROTHALF, SEED, pages, 256);
        for (size_t i = 0; i < 256; i++) {
                int status = which[i] < SPOTS ? expected[which[i]] : -ENODATA;

                check_equal(pages[i].address, addresses[i]);
                check_equal(pages[i].status, status);
                check_equal(pages[i].hash, status ? 0 : hashes[0].of((void *)addresses[i], SEED));
                check_equal(pages[i].frame, status ? 0 : page_frame(getpid(), addresses[i]));
        }
        close(fd);
}

static uint64_t kpagecount(uint64_t frame) {
        uint64_t count;
        int fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);

        check(fd >= 0);
        check_equal(pread(fd, &count, sizeof(count), frame * sizeof(count)), sizeof(count));
        close(fd);
        return count;
}

static void counts_are(const struct herd *herd, int count) {
        struct mergemod_page pages[HELD];
        uint32_t flags = MERGEMOD_SCAN_COUNT, all = flags | MERGEMOD_SCAN_ZEROS | MERGEMOD_SCAN_MERGED;

        for (int i = 0; i < 3; i++) {
                if (i == 0)
                        hash_held(herd, flags, SEED, pages);
                else if (i == 1)
                        scan_held(herd, MERGEMOD_SCAN, all, SEED, pages);
                else
                        scan_held(herd, MERGEMOD_PAGES, flags, 0, pages);
                for (size_t j = 0; j < HELD; j++) {
                        check_equal(pages[j].status, count);
                        check_equal(pages[j].flags & MERGEMOD_PAGE_ZERO ? 0 : kpagecount(pages[j].frame),
                                    count);
                }
        }
}

static long fork_and_wait(long unused) {
        return fork() ?: pause();
}

static void counted(void) {
        struct herd herd = herd_start(3, SEED);
        struct mergemod_merge merge = {};

        counts_are(&herd, 1);
        check_equal(herd_merge(&herd, &merge), 3 * HELD);
        counts_are(&herd, 3);
        check(peer_call(&herd.peers[1], fork_and_wait, 0) > 0);
        counts_are(&herd, 4);
        peer_call(&herd.peers[0], held_fill, 0);
        counts_are(&herd, 1);
        check_equal(herd_merge(&herd, &merge), HELD);
        counts_are(&herd, 0);
        herd_end(&herd);
}

static void huge(void) {
        char *start = mmap((void *)0x400000000000UL, HUGE_PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());
        struct mergemod_page pages[512];

        check(start != MAP_FAILED);
        check_equal(madvise(start, HUGE_PAGE, MADV_HUGEPAGE), 0);
        pages_fill(start, 512, SEED);
        for (size_t i = 0; i < HASHES; i++) {
                for (size_t j = 0; j < 512; j++)
                        pages[j].address = (uintptr_t)start + j * PAGE;
                hash(fd, target, hashes[i].flag | MERGEMOD_SCAN_COUNT, SEED, pages, 512);
                for (size_t j = 0; j < 512; j++) {
                        check_equal(pages[j].flags, MERGEMOD_PAGE_HUGE);
                        check_equal(pages[j].status, kpagecount(pages[j].frame));
                        check_equal(pages[j].status, 1);
                        check_equal(pages[j].hash, hashes[i].of(start + j * PAGE, SEED));
                }
        }
        close(fd);
}

static void refused(void) {
        struct herd herd = herd_start(1, SEED);
        struct mergemod_page page = { .address = HELD_ADDRESS };
        static const uint32_t flags[] = {
                MERGEMOD_SCAN_SAMPLE | MERGEMOD_SCAN_CONST,
                MERGEMOD_SCAN_SAMPLE | MERGEMOD_SCAN_ADDROTHALF,
                MERGEMOD_SCAN_ADDROTHALF | MERGEMOD_SCAN_CONST,
        };

        for (size_t i = 0; i < 3; i++) {
                struct mergemod_scan call = { .target = herd.targets[0], .flags = flags[i],
                                              .pages = (uintptr_t)&page, .n_pages = 1 };

                check_equal(device_call(herd.fd, MERGEMOD_HASH, &call), -EINVAL);
                call.start = HELD_ADDRESS, call.end = END;
                check_equal(device_call(herd.fd, MERGEMOD_SCAN, &call), -EINVAL);
        }
        herd_end(&herd);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "hash: as programs compute it", as_programs_do },
                { "hash: pages of zeros", of_zeros },
                { "hash: addresses in any order", any_order },
                { "hash: how often pages are mapped", counted },
                { "hash: parts of a huge page", huge },
                { "hash: only one", refused },
        };

        return CASES_RUN(argc, argv, cases);
}
