// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hammer.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "pages.h"

#define TARGETS 64
#define BATCH 4096
#define USER_END 0x7ffffffff000UL
/* Without it a few rounds are enough. Under it: some seconds, or until that many pages were merged. */
#define ROUNDS 3
#define MERGED_MIN 100
#define MERGED_ENOUGH 1000
#define SECONDS_ENOUGH 10
#define SECONDS_MAX 90

/* Shared with the hammer. */
static struct {
        atomic_bool stop;
        atomic_int pids[TARGETS];
        atomic_ulong merged;
} *board;

static pid_t hammer;

static int by_hash(const void *a, const void *b) {
        const struct mergemod_page *x = a, *y = b;

        return (x->hash > y->hash) - (x->hash < y->hash);
}

static int by_address(const void *a, const void *b) {
        const struct mergemod_element *x = a, *y = b;

        return (x->address > y->address) - (x->address < y->address);
}

static void strike(int fd, uint32_t target, struct mergemod_page *pages, size_t n) {
        static struct mergemod_element elements[BATCH];
        struct mergemod_merge merge = { .huge = MERGEMOD_HUGE_SPLIT };
        uint32_t group = 0;
        int r;

        qsort(pages, n, sizeof(pages[0]), by_hash);
        for (size_t i = 0; i < n; i++) {
                group += i > 0 && pages[i].hash != pages[i - 1].hash;
                elements[i] = (struct mergemod_element){
                        .address = pages[i].address,
                        .target = target,
                        .group = group,
                        .status = 1,
                };
        }
        qsort(elements, n, sizeof(elements[0]), by_address);
        /* A machine that goes to sleep interrupts everybody. */
        r = device_merge(fd, &merge, elements, n);
        check(r == 0 || r == -EINTR);
        for (size_t i = 0; i < n; i++)
                if (elements[i].status == 0 && elements[i].address >= (uintptr_t)UNDER_TEST &&
                    elements[i].address < (uintptr_t)UNDER_TEST + UNDER_TEST_SIZE)
                        board->merged++;
}

/* Whether the target is still there. */
static bool strike_all(int fd, uint32_t target) {
        static struct mergemod_page pages[BATCH];
        struct mergemod_scan scan = {
                .target = target,
                .start = PAGE,
                .end = USER_END,
                .flags = MERGEMOD_SCAN_ZEROS | MERGEMOD_SCAN_HUGE,
                .seed = 1,
                .pages = (uintptr_t)pages,
                .n_pages = BATCH,
        };

        while (scan.start < scan.end && !board->stop) {
                int r = device_call(fd, MERGEMOD_SCAN, &scan);

                if (r == -ESRCH)
                        return false;
                check(r == 0 || r == -EINTR);
                if (r == 0 && scan.done)
                        strike(fd, target, pages, scan.done);
        }
        return true;
}

/* The target's number, 0 if it is gone. */
static uint32_t attach(int fd, pid_t pid) {
        struct mergemod_attach attach = { .pid = pid };
        struct mergemod_target target = {};
        int r = device_call(fd, MERGEMOD_ATTACH, &attach);

        if (r == -ESRCH)
                return 0;
        check_equal(r, 0);
        target.target = attach.target;
        check_equal(device_call(fd, MERGEMOD_ACTIVATE, &target), 0);
        return attach.target;
}

static void serve(void) {
        int fd = device_open();

        while (!board->stop) {
                bool any = false;

                for (size_t i = 0; i < TARGETS && !board->stop; i++) {
                        struct mergemod_target target = {};

                        if (!board->pids[i])
                                continue;
                        any = true;
                        /* Anew each time: after exec it has other memory. */
                        target.target = attach(fd, board->pids[i]);
                        if (!target.target) {
                                board->pids[i] = 0;
                                continue;
                        }
                        strike_all(fd, target.target);
                        check_equal(device_call(fd, MERGEMOD_DETACH, &target), 0);
                }
                if (!any)
                        usleep(1000);
        }
}

void hammer_add(pid_t pid) {
        for (size_t i = 0; i < TARGETS; i++) {
                int nobody = 0;

                if (atomic_compare_exchange_strong(&board->pids[i], &nobody, pid))
                        return;
        }
        fail("too many processes for the hammer");
}

void hammer_start(void) {
        pid_t pid = getpid();

        board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        check(board != MAP_FAILED);
        hammer = fork();
        check(hammer >= 0);
        if (hammer == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                serve();
                _exit(0);
        }
        hammer_add(pid);
}

unsigned long hammer_merged(void) {
        return board->merged;
}

void hammer_stop(void) {
        int status;

        board->stop = true;
        check_equal(waitpid(hammer, &status, 0), hammer);
        check_equal(status, 0);
}

char *under_test(size_t offset, size_t n) {
        char *address = UNDER_TEST + offset;

        check(mmap(address, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                   0) == address);
        check_equal(madvise(address, n * PAGE, MADV_NOHUGEPAGE), 0);
        return address;
}

static bool on;

bool hammer_is_on(void) {
        return on;
}

void hammer_begin(void) {
        if (on)
                hammer_start();
}

static bool goes_on(unsigned rounds, long seconds) {
        if (rounds < ROUNDS)
                return true;
        if (!on)
                return false;
        if (hammer_merged() < MERGED_MIN && seconds > SECONDS_MAX)
                fail("only %lu pages under test merged in %u rounds", hammer_merged(), rounds);
        return hammer_merged() < MERGED_MIN || (hammer_merged() < MERGED_ENOUGH && seconds < SECONDS_ENOUGH);
}

bool hammer_round(void) {
        static struct timespec start;
        static unsigned rounds;
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        if (rounds == 0)
                start = now;
        if (goes_on(rounds, now.tv_sec - start.tv_sec)) {
                rounds++;
                return true;
        }
        if (on) {
                hammer_stop();
                printf("# %u rounds, %lu pages under test merged\n", rounds, hammer_merged());
        }
        return false;
}

int hammer_cases_run(int argc, char **argv, const struct test_case *cases, size_t n_cases) {
        struct test_case *under = calloc(n_cases, sizeof(*under));
        int r;

        check(under);
        for (size_t i = 0; i < n_cases; i++) {
                char *name;

                check(asprintf(&name, "%s, under the hammer", cases[i].name) > 0);
                under[i] = (struct test_case){ name, cases[i].run };
        }
        r = cases_run(argc, argv, cases, n_cases);
        on = true;
        return cases_run(argc, argv, under, n_cases) || r;
}
