// SPDX-License-Identifier: LGPL-2.1-or-later
/* PAGES, HASH and SCAN. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "case.h"
#include "held.h"

#define SEED 21

static uint32_t scan(const struct herd *herd, unsigned long call, uint32_t flags, uint64_t start,
                     uint64_t end, struct mergemod_page *pages, uint32_t n) {
        struct mergemod_scan scan = { .target = herd->targets[0], .flags = flags, .start = start, .end = end,
                                      .pages = (uintptr_t)pages, .n_pages = n,
                                      .seed = call == MERGEMOD_PAGES ? 0 : 99 };

        check_equal(device_call(herd->fd, call, &scan), 0);
        check(scan.start == end || scan.done == n);
        return scan.done;
}

static void looks(void) {
        struct herd herd = herd_start(1, SEED);
        struct mergemod_page pages[2 * HELD], again[HELD];
        uint64_t end = HELD_ADDRESS + HELD * PAGE;
        pid_t pid = herd.peers[0].pid;
        struct mergemod_scan hash = { .target = herd.targets[0], .pages = (uintptr_t)again, .n_pages = HELD,
                                      .seed = 99 };

        check_equal(scan(&herd, MERGEMOD_PAGES, 0, HELD_ADDRESS, end, pages, 2 * HELD), HELD);
        for (size_t i = 0; i < HELD; i++) {
                check_equal(pages[i].address, HELD_ADDRESS + i * PAGE);
                check_equal(pages[i].frame, page_frame(pid, pages[i].address));
                check_equal(pages[i].flags, 0);
                again[i] = pages[i];
        }
        check_equal(scan(&herd, MERGEMOD_SCAN, 0, HELD_ADDRESS, end, pages, 2 * HELD), HELD);
        check_equal(device_call(herd.fd, MERGEMOD_HASH, &hash), 0);
        check_equal(hash.done, HELD);
        for (size_t i = 0; i < HELD; i++) {
                check_equal(again[i].hash, pages[i].hash);
                check(i == 0 || pages[i].hash != pages[i - 1].hash);
        }
        check_equal(scan(&herd, MERGEMOD_SCAN, 0, HELD_ADDRESS, end, pages, 7), 7);
        herd_end(&herd);
}

static long fill_alike(long byte) {
        held_fill(SEED);
        for (size_t i = 0; i < HELD; i++)
                ((char *)HELD_ADDRESS)[i * PAGE + byte] = i;
        return 0;
}

/* Samples of pages that differ in one byte are mostly equal, of others hardly ever. */
static void samples(void) {
        struct herd herd = herd_start(1, SEED);
        struct mergemod_page pages[2 * HELD], again[2 * HELD];
        uint64_t start = HELD_ADDRESS, end = start + HELD * PAGE;
        uint32_t flags = MERGEMOD_SCAN_SAMPLE;
        size_t n_equal = 0;

        check_equal(scan(&herd, MERGEMOD_SCAN, flags, start, end, pages, 2 * HELD), HELD);
        for (size_t i = 1; i < HELD; i++)
                check(pages[i].hash != pages[i - 1].hash);
        peer_call(&herd.peers[0], fill_alike, 1000);
        check_equal(scan(&herd, MERGEMOD_SCAN, flags, start, end, again, 2 * HELD), HELD);
        for (size_t i = 0; i < HELD; i++)
                n_equal += again[i].hash == pages[i].hash;
        check_at_least(n_equal, HELD / 2);
        herd_end(&herd);
}

static void filters(void) {
        struct herd herd = herd_start(1, SEED);
        struct mergemod_page pages[2 * HELD];
        uint64_t end = HELD_ADDRESS + HELD * PAGE;
        struct mergemod_merge merge = {};

        check_equal(herd_merge(&herd, &merge), HELD);
        check_equal(scan(&herd, MERGEMOD_SCAN, 0, HELD_ADDRESS, end, pages, 2 * HELD), 0);
        check_equal(scan(&herd, MERGEMOD_SCAN, MERGEMOD_SCAN_MERGED, HELD_ADDRESS, end, pages, 2 * HELD),
                    HELD);
        check_equal(pages[0].flags, MERGEMOD_PAGE_MERGED);
        peer_call(&herd.peers[0], held_fill, 0);
        check_equal(scan(&herd, MERGEMOD_SCAN, 0, HELD_ADDRESS, end, pages, 2 * HELD), 0);
        check_equal(scan(&herd, MERGEMOD_SCAN, MERGEMOD_SCAN_ZEROS, HELD_ADDRESS, end, pages, 2 * HELD),
                    HELD);
        check_equal(pages[0].flags, MERGEMOD_PAGE_ZEROS);
        check_equal(herd_merge(&herd, &merge), HELD);
        check_equal(scan(&herd, MERGEMOD_PAGES, 0, HELD_ADDRESS, end, pages, 2 * HELD), HELD);
        check_equal(pages[0].flags, MERGEMOD_PAGE_ZERO);
        check_equal(pages[0].frame, 0);
        herd_end(&herd);
}

#define SPARSE 0x100000000000UL
#define SPARSE_BYTES (1UL << 45)
#define SPARSE_PAGE (SPARSE + (1UL << 44) + 5 * PAGE)

static long hold_sparse(long unused) {
        void *sparse = mmap((void *)SPARSE, SPARSE_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

        if (sparse == MAP_FAILED)
                return -1;
        madvise(sparse, SPARSE_BYTES, MADV_NOHUGEPAGE);
        memset((void *)SPARSE_PAGE, 1, PAGE);
        pages_settle();
        return 0;
}

static void sparse(void) {
        struct herd herd = { .fd = device_open(), .n = 1, .peers = { peer_start() } };
        struct mergemod_page pages[4];

        check_equal(peer_call(&herd.peers[0], hold_sparse, 0), 0);
        herd.targets[0] = device_attach(herd.fd, herd.peers[0].pid);
        alarm(20);
        check_equal(scan(&herd, MERGEMOD_SCAN, 0, SPARSE, SPARSE + SPARSE_BYTES, pages, 4), 1);
        check_equal(pages[0].address, SPARSE_PAGE);
        herd_end(&herd);
}

static void everything(void) {
        static struct mergemod_page pages[65536];
        struct herd herd = herd_start(1, SEED);
        uint32_t n = scan(&herd, MERGEMOD_PAGES, 0, 0, 0x7ffffffff000UL, pages, 65536);

        check_at_least(n, HELD + 20);
        for (uint32_t i = 1; i < n; i++)
                check(pages[i].address > pages[i - 1].address);
        check_equal(herd_wrong(&herd, SEED), 0);
        herd_end(&herd);
}

/* Pages that PAGES and SCAN find there in this process, and what HASH says. */
static void own_area(const void *address, uint32_t found, uint32_t scanned, int hashed) {
        struct mergemod_page page = {};
        struct herd own = { .fd = device_open(), .n = 1 };
        struct mergemod_scan hash = { .pages = (uintptr_t)&page, .n_pages = 1 };
        uintptr_t start = (uintptr_t)address;

        own.targets[0] = hash.target = device_attach(own.fd, getpid());
        check_equal(scan(&own, MERGEMOD_PAGES, 0, start, start + PAGE, &page, 1), found);
        check_equal(scan(&own, MERGEMOD_SCAN, MERGEMOD_SCAN_FILE_AREA | MERGEMOD_SCAN_HUGE, start,
                         start + PAGE, &page, 1), scanned);
        page = (struct mergemod_page){ .address = start };
        check_equal(device_call(own.fd, MERGEMOD_HASH, &hash), 0);
        check_equal(hash.done, 1);
        check_equal(page.status, hashed);
        close(own.fd);
}

static void not_read(void) {
        char *page = pages_map(1), *vdso = (char *)getauxval(AT_SYSINFO_EHDR), *secret, *shared;
        int fd = syscall(SYS_memfd_secret, O_CLOEXEC);

        memset(page, 1, PAGE);
        own_area(page, 1, 1, 0);
        check_equal(madvise(page, PAGE, MADV_DONTDUMP), 0);
        own_area(page, 1, 0, -ENODATA);

        shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        check(shared != MAP_FAILED);
        memset(shared, 1, PAGE);
        own_area(shared, 1, 0, -ENODATA);

        /* Not in the kernel's own page tables. */
        check(fd >= 0);
        check_equal(ftruncate(fd, PAGE), 0);
        secret = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        check(secret != MAP_FAILED);
        memset(secret, 1, PAGE);
        own_area(secret, 1, 0, -ENODATA);
        check_equal(secret[PAGE - 1], 1);

        /* Of the kernel. */
        check_equal(memcmp(vdso, "\177ELF", 4), 0);
        own_area(vdso, 0, 0, -ENODATA);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "scan: frames and hashes", looks },
                { "scan: samples", samples },
                { "scan: what is left out", filters },
                { "scan: one page in 32 TiB", sparse },
                { "scan: the whole process", everything },
                { "scan: areas that are not read", not_read },
        };

        return CASES_RUN(argc, argv, cases);
}
