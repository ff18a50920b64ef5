// SPDX-License-Identifier: LGPL-2.1-or-later
/* A device with page tables of its own that follow those of a process, as KVM and graphics cards have: the
 * kernel's test_hmm. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "case.h"
#include "hammer.h"
#include "twin.h"

#define SEED 191
#define N 64

struct mirror_command {
        uint64_t address, pointer, n_pages, n_copied, n_faults;
};

#define MIRROR_READ _IOWR('H', 0, struct mirror_command)
#define MIRROR_WRITE _IOWR('H', 1, struct mirror_command)
#define MIRROR_TAKE _IOWR('H', 2, struct mirror_command)

static int mirror;
static char *bounce;

/* How many pages it was about, or -errno. */
static long order(unsigned long request, const char *address) {
        struct mirror_command command = {
                .address = (uintptr_t)address,
                .pointer = (uintptr_t)bounce,
                .n_pages = N,
        };

        return ioctl(mirror, request, &command) < 0 ? -errno : (long)command.n_copied;
}

static void transfer(unsigned long request, const char *address) {
        check_equal(order(request, address), N);
}

/* What the device reads at an address. */
static size_t device_wrong(const char *address, long seed) {
        memset(bounce, 0, N * PAGE);
        transfer(MIRROR_READ, address);
        return pages_wrong(bounce, N, seed);
}

static void open_mirror(void) {
        mirror = open("/dev/hmm_dmirror0", O_RDWR | O_CLOEXEC);
        check(mirror >= 0);
        bounce = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        check(bounce != MAP_FAILED);
}

static void follows(void) {
        struct twin twin = twin_make(N, SEED);

        open_mirror();
        check_equal(device_wrong(twin.a, SEED), 0);
        check_equal(twin_merge(&twin, twin.a, N) + twin_merge(&twin, twin.b, N), 2 * N);
        check_equal(device_wrong(twin.a, SEED) + device_wrong(twin.b, SEED), 0);
        pages_fill(twin.a, N, SEED + 1);
        check_equal(device_wrong(twin.a, SEED + 1) + device_wrong(twin.b, SEED), 0);
        pages_fill(bounce, N, SEED + 2);
        transfer(MIRROR_WRITE, twin.b);
        check_equal(pages_wrong(twin.b, N, SEED + 2) + pages_wrong(twin.a, N, SEED + 1), 0);
        pages_settle();
        check_equal(twin_merge(&twin, twin.a, N) + twin_merge(&twin, twin.b, N), 2 * N);
        pages_fill(bounce, N, SEED + 3);
        transfer(MIRROR_WRITE, twin.b);
        check_equal(pages_wrong(twin.b, N, SEED + 3) + pages_wrong(twin.a, N, SEED + 1), 0);
        twin_end(&twin);
}

/* Pages that are in the device's own memory are not there for the module; merged ones do not go there. */
static void taken(void) {
        struct twin twin = twin_make(N, SEED);

        open_mirror();
        transfer(MIRROR_TAKE, twin.a);
        check_equal(twin_merge(&twin, twin.a, N), 0);
        check_equal(pages_wrong(twin.a, N, SEED), 0);
        pages_settle();
        check_equal(twin_merge(&twin, twin.a, N) + twin_merge(&twin, twin.b, N), 2 * N);
        check_equal(order(MIRROR_TAKE, twin.a), -ENOENT);
        check_equal(twin_shared(&twin), N);
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        twin_end(&twin);
}

static void follows_the_hammer(void) {
        char *area;

        open_mirror();
        hammer_start();
        area = under_test(0, N);
        for (long seed = SEED; seed < SEED + 100 || hammer_merged() < 1000; seed++) {
                pages_fill(area, N, seed);
                check_equal(device_wrong(area, seed), 0);
                pages_fill(bounce, N, seed + 1000);
                transfer(MIRROR_WRITE, area);
                check_equal(pages_wrong(area, N, seed + 1000), 0);
                check_equal(device_wrong(area, seed + 1000), 0);
        }
        hammer_stop();
        printf("# %lu pages merged\n", hammer_merged());
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "MMU notifiers: a device sees what the process sees", follows },
                { "MMU notifiers: pages in the memory of a device", taken },
                { "MMU notifiers: a device reads and writes while pages are merged", follows_the_hammer },
        };

        return CASES_RUN(argc, argv, cases);
}
