// SPDX-License-Identifier: LGPL-2.1-or-later
/* Large areas, many pages, many processes, many frames that nobody needs. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "case.h"
#include "hammer.h"
#include "held.h"
#include "knob.h"

#define SEED 161

static double now(void) {
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec + time.tv_nsec / 1e9;
}

/* More than there is. */
static char *map_large(size_t size) {
        char *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        check(area != MAP_FAILED);
        check_equal(madvise(area, size, MADV_NOHUGEPAGE), 0);
        return area;
}

#define KHUGEPAGED "/sys/kernel/mm/transparent_hugepage/khugepaged/"
#define SPARSE (32UL << 40)
#define SPOTS 16

static void sparse(void) {
        char *area = map_large(SPARSE);
        struct mergemod_page pages[2 * SPOTS];
        struct mergemod_scan scan = { .pages = (uintptr_t)pages, .n_pages = 2 * SPOTS };
        struct mergemod_merge merge = { .huge = MERGEMOD_HUGE_AUTO };
        int fd = device_open();
        double start;

        /* khugepaged would fill up what is around a single page. */
        knob_set(KHUGEPAGED "max_ptes_none", "0");
        for (size_t i = 0; i < SPOTS; i++)
                pages_fill(area + i * (SPARSE / SPOTS) + i * PAGE, 1, SEED);
        pages_settle();
        check_equal(madvise(area, SPARSE, MADV_HUGEPAGE), 0);

        scan.target = device_attach(fd, getpid());
        scan.start = (uintptr_t)area;
        scan.end = (uintptr_t)area + SPARSE;
        start = now();
        check_equal(device_call(fd, MERGEMOD_SCAN, &scan), 0);
        check_equal(scan.start, scan.end);
        check_equal(scan.done, SPOTS);
        for (size_t i = 0; i < SPOTS; i++) {
                check_equal(pages[i].address, (uintptr_t)area + i * (SPARSE / SPOTS) + i * PAGE);
                check_equal(held_merge_one(fd, scan.target, pages[i].address, merge), 0);
        }
        check_equal(device_unmerge(fd, scan.target, (uintptr_t)area, SPARSE / PAGE, 0), SPOTS);
        printf("# %.3f s\n", now() - start);
        check(now() - start < 5);
        for (size_t i = 0; i < SPOTS; i++)
                check_equal(pages_wrong(area + i * (SPARSE / SPOTS) + i * PAGE, 1, SEED), 0);
        knob_set(KHUGEPAGED "max_ptes_none", "511");
}

#define MILLION (1UL << 20)
#define STEP 16384UL

static void million(void) {
        static struct mergemod_element elements[STEP];
        static struct mergemod_page pages[STEP];
        char *area = map_large(MILLION * PAGE);
        struct mergemod_scan scan = { .pages = (uintptr_t)pages, .n_pages = STEP };
        int fd = device_open();
        size_t zero = 0;

        scan.target = device_attach(fd, getpid());
        for (size_t i = 0; i < MILLION; i += STEP) {
                struct mergemod_merge merge = {};

                memset(area + i * PAGE, 0, STEP * PAGE);
                pages_settle();
                elements_fill(elements, scan.target, (uintptr_t)area + i * PAGE, STEP, 0);
                check_equal(device_merge(fd, &merge, elements, STEP), 0);
                check_equal(merge.zero_merged, STEP);
        }
        scan.start = (uintptr_t)area;
        scan.end = (uintptr_t)area + MILLION * PAGE;
        while (scan.start < scan.end) {
                check_equal(device_call(fd, MERGEMOD_PAGES, &scan), 0);
                for (size_t i = 0; i < scan.done; i++)
                        zero += !!(pages[i].flags & MERGEMOD_PAGE_ZERO);
        }
        check_equal(zero, MILLION);
        check_equal(pages_wrong(area, MILLION, 0), 0);
        for (size_t i = 0; i < MILLION; i += 1000)
                area[i * PAGE] = 1;
        for (size_t i = 0; i < MILLION; i++)
                check_equal(area[i * PAGE], i % 1000 == 0);
}

#define SHARERS 40000UL
/* Of one frame: some hundred, however many fork(2) makes of each, so that no count of references wraps. */
#define SHARERS_MAX 640

static int by_frame(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

/* Frames that these pages are on, and how many of them are on the one that most are on. */
static size_t frames_of(const char *area, size_t n, size_t *ret_most) {
        static uint64_t frames[SHARERS];
        size_t n_frames = 0, n_here = 0;

        pages_frames(getpid(), (uintptr_t)area, frames, n);
        qsort(frames, n, sizeof(frames[0]), by_frame);
        *ret_most = 0;
        for (size_t i = 0; i < n; i++) {
                bool another = i == 0 || frames[i] != frames[i - 1];

                n_frames += another;
                n_here = another ? 1 : n_here + 1;
                if (n_here > *ret_most)
                        *ret_most = n_here;
        }
        return n_frames;
}

/* A frame that many share gets no more of them; another is made for the others. */
static void sharers(void) {
        static struct mergemod_element elements[SHARERS];
        struct mergemod_merge merge = {}, rest = {}, late = {};
        char *area = pages_map(SHARERS), *page = pages_map(1);
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());
        size_t n_frames, most;

        memset(area, 7, SHARERS * PAGE);
        memset(page, 7, PAGE);
        pages_settle();
        elements_fill(elements, target, (uintptr_t)area, SHARERS, 0);
        for (size_t i = 0; i < SHARERS; i++)
                elements[i].group = 0;
        check_equal(device_merge(fd, &merge, elements, SHARERS), 0);
        check_equal(merge.merged + elements_count(elements, SHARERS, -EAGAIN), SHARERS);
        check_at_least(merge.merged + 64, SHARERS);
        check_equal(device_merge(fd, &rest, elements, SHARERS), 0);
        check_equal(merge.merged + rest.merged, SHARERS);
        check_equal(held_merge_one(fd, target, (uintptr_t)page, late), 0);

        n_frames = frames_of(area, SHARERS, &most);
        printf("# %zu frames, at most %zu pages on one\n", n_frames, most);
        check_at_least(SHARERS_MAX, most);
        check_at_least(SHARERS / 100, n_frames);
        check_equal(merge.new_frames + rest.new_frames, n_frames);
        for (size_t i = 0; i < SHARERS; i++)
                check_equal(memcmp(area + i * PAGE, page, PAGE), 0);
}

#define PROCESSES 10000

static void processes(void) {
        static struct mergemod_element elements[PROCESSES];
        struct mergemod_merge merge = {};
        struct mergemod_stats stats;
        int fd = device_open(), gate[2], ready[2], status;
        char byte;

        check_equal(pipe(gate), 0);
        check_equal(pipe(ready), 0);
        for (size_t i = 0; i < PROCESSES; i++) {
                pid_t pid = fork();

                check(pid >= 0);
                if (pid == 0) {
                        char *page = under_test(0, 1);

                        close(gate[1]);
                        pages_fill(page, 1, SEED);
                        check_equal(write(ready[1], "", 1), 1);
                        check_equal(read(gate[0], &byte, 1), 0);
                        page[i % PAGE] ^= 1;
                        page[i % PAGE] ^= 1;
                        _exit(pages_wrong(page, 1, SEED) != 0);
                }
                check_equal(read(ready[0], &byte, 1), 1);
                elements[i] = (struct mergemod_element){
                        .address = (uintptr_t)UNDER_TEST,
                        .target = device_attach(fd, pid),
                };
        }
        pages_settle();
        check_equal(device_merge(fd, &merge, elements, PROCESSES), 0);
        check_equal(merge.merged, PROCESSES);
        stats = device_stats(fd);
        check_at_least(stats.frames, PROCESSES / SHARERS_MAX);
        check_at_least(PROCESSES / 100, stats.frames);
        check_equal(stats.mappings, PROCESSES);
        close(gate[1]);
        for (size_t i = 0; i < PROCESSES; i++) {
                check(wait(&status) > 0);
                check_equal(status, 0);
        }
        frames_gone(fd);
}

#define MANY 8192

/* A shortage of memory gives back at once what would go in ten seconds. */
static void unused(void) {
        static struct mergemod_element elements[MANY];
        struct mergemod_merge merge = {};
        char *area = pages_map(MANY);
        int fd = device_open();

        pages_fill(area, MANY, SEED);
        pages_settle();
        elements_fill(elements, device_attach(fd, getpid()), (uintptr_t)area, MANY, 0);
        check_equal(device_merge(fd, &merge, elements, MANY), 0);
        check_equal(merge.merged, MANY);
        knob_set("/proc/sys/vm/drop_caches", "2");
        check_equal(device_stats(fd).frames, MANY);
        munmap(area, MANY * PAGE);
        check_at_least(device_stats(fd).frames, MANY / 2);
        for (int i = 0; i < 3; i++)
                knob_set("/proc/sys/vm/drop_caches", "2");
        check_equal(device_stats(fd).frames, 0);
}

/* Frames are not refused because of others that nobody uses any more. */
static void room(void) {
        static struct mergemod_element elements[512];
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());

        frames_gone(fd);
        knob_set("/sys/module/mergemod/parameters/max_user_percent", "100");
        knob_set("/sys/module/mergemod/parameters/max_frames", "512");
        for (long seed = SEED; seed < SEED + 8; seed++) {
                struct mergemod_merge merge = {};
                char *area = pages_map(512);

                pages_fill(area, 512, seed);
                pages_settle();
                elements_fill(elements, target, (uintptr_t)area, 512, 0);
                check_equal(device_merge(fd, &merge, elements, 512), 0);
                check_equal(merge.merged, 512);
                check_equal(pages_wrong(area, 512, seed), 0);
                munmap(area, 512 * PAGE);
        }
        knob_set("/sys/module/mergemod/parameters/max_frames", "0");
        knob_set("/sys/module/mergemod/parameters/max_user_percent", "75");
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "sizes: an area of 32 TiB with a few pages", sparse },
                { "sizes: an area of a million pages", million },
                { "sizes: 40000 pages of the same bytes", sharers },
                { "sizes: ten thousand processes", processes },
                { "sizes: unused frames when memory is short", unused },
                { "sizes: unused frames make room for others", room },
        };

        return CASES_RUN(argc, argv, cases);
}
