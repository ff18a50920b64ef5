// SPDX-License-Identifier: LGPL-2.1-or-later
/* Processes that write, move, map, fork and look at their pages while two others merge and unmerge them:
 * no byte may be wrong. For a minute, or until VM_COUNT pages are merged, but not longer than VM_SECONDS. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "case.h"
#include "device.h"
#include "pages.h"

#define WORKERS 4
#define THREADS 2
#define MERGERS 2
#define N 768
#define SEEDS 6
#define AREA(thread) ((char *)0x200000000000UL + (thread) * 0x1000000000UL)
#define AREA_END 0x210000000000UL

static unsigned seconds = 60;
static unsigned long count = -1;

/* Shared by all. */
static struct board {
        atomic_bool stop, stop_merging;
        atomic_ulong rounds, merged, unmerged;
        pid_t workers[WORKERS];
} *board;

/* A thread's area: what each page must hold. */
struct area {
        char *pages;
        unsigned char seeds[N];
        unsigned random;
};

static unsigned pick(struct area *area, unsigned n) {
        area->random = area->random * 1103515245 + 12345;
        return (area->random >> 16) % n;
}

static void write_page(struct area *area, size_t page) {
        area->seeds[page] = pick(area, SEEDS);
        pages_fill(area->pages + page * PAGE, 1, area->seeds[page]);
}

static void look(struct area *area, size_t page) {
        if (pages_wrong(area->pages + page * PAGE, 1, area->seeds[page]))
                fail("page %zu of process %d is wrong", page, (int)getpid());
}

static void look_at_all(struct area *area) {
        for (size_t i = 0; i < N; i++)
                look(area, i);
}

static void map(struct area *area, char *where) {
        area->pages = mmap(where, N * PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        check(area->pages == where);
        memset(area->seeds, 0, sizeof(area->seeds));
}

static void fork_and_look(struct area *area) {
        int status;
        pid_t pid = fork();

        check(pid >= 0);
        if (pid == 0) {
                for (size_t i = 0; i < 16; i++)
                        write_page(area, pick(area, N));
                look_at_all(area);
                _exit(0);
        }
        check_equal(waitpid(pid, &status, 0), pid);
        check_equal(status, 0);
}

static void move(struct area *area) {
        char *to = (char *)((uintptr_t)area->pages ^ 0x800000000UL);

        check(mremap(area->pages, N * PAGE, N * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
        area->pages = to;
}

static void protect(struct area *area) {
        check_equal(mprotect(area->pages, N * PAGE, PROT_READ), 0);
        look(area, pick(area, N));
        check_equal(mprotect(area->pages, N * PAGE, PROT_READ | PROT_WRITE), 0);
}

static void discard(struct area *area) {
        size_t page = pick(area, N - 8);

        check_equal(madvise(area->pages + page * PAGE, 8 * PAGE, MADV_DONTNEED), 0);
        memset(area->seeds + page, 0, 8);
}

static void *work(void *argument) {
        struct area area = { .random = (uintptr_t)argument * 77 + getpid() };
        size_t thread = (uintptr_t)argument;

        map(&area, AREA(thread));
        while (!board->stop) {
                switch (pick(&area, 40)) {
                case 0: fork_and_look(&area); break;
                case 1: move(&area); break;
                case 2: protect(&area); break;
                case 3: discard(&area); break;
                case 4: look_at_all(&area); break;
                case 5: map(&area, area.pages); break;
                case 6: madvise(area.pages, N * PAGE, MADV_COLD); break;
                case 7: madvise(area.pages, N * PAGE, MADV_PAGEOUT); break;
                case 8:
                        madvise(area.pages, N * PAGE, pick(&area, 2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
                        break;
                case 9: usleep(1000); break;
                case 10:
                        if (pick(&area, 4) == 0)
                                madvise(area.pages, N * PAGE, MADV_MERGEABLE);
                        break;
                case 11: madvise(area.pages, N * PAGE, MADV_UNMERGEABLE); break;
                default:
                        for (unsigned i = 0; i < 8; i++)
                                write_page(&area, pick(&area, N));
                        look(&area, pick(&area, N));
                }
                board->rounds++;
        }
        look_at_all(&area);
        return NULL;
}

static void worker(void) {
        pthread_t threads[THREADS];

        for (uintptr_t i = 0; i < THREADS; i++)
                check_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
        for (size_t i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
}

static int by_hash(const void *a, const void *b) {
        const struct mergemod_page *x = a, *y = b;

        return (x->hash > y->hash) - (x->hash < y->hash);
}

static int by_place(const void *a, const void *b) {
        const struct mergemod_element *x = a, *y = b;

        return (x->address > y->address) - (x->address < y->address);
}

#define PAGES_MAX (THREADS * N * 2)

static size_t scan(int fd, uint32_t target, struct mergemod_page *pages, uint32_t sample) {
        struct mergemod_scan scan = {
                .target = target,
                .start = (uintptr_t)AREA(0),
                .end = AREA_END,
                .flags = MERGEMOD_SCAN_ZEROS | sample,
                .seed = 1,
                .pages = (uintptr_t)pages,
                .n_pages = PAGES_MAX,
        };

        check_equal(device_call(fd, MERGEMOD_SCAN, &scan), 0);
        return scan.done;
}

/* One process at a time, shortly after the look at it: they share what there was before. */
static void merge(int fd, uint32_t target, uint32_t huge, uint32_t sample) {
        static struct mergemod_page pages[PAGES_MAX];
        static struct mergemod_element elements[PAGES_MAX];
        struct mergemod_merge merge = { .domain = MERGEMOD_DOMAIN_SYSTEM, .huge = huge };
        size_t n = scan(fd, target, pages, sample);
        uint32_t group = 0;

        if (!n)
                return;
        qsort(pages, n, sizeof(pages[0]), by_hash);
        for (size_t i = 0; i < n; i++) {
                group += i > 0 && pages[i].hash != pages[i - 1].hash;
                elements[i] = (struct mergemod_element){
                        .address = pages[i].address,
                        .target = target,
                        .group = group,
                };
        }
        qsort(elements, n, sizeof(elements[0]), by_place);
        check_equal(device_merge(fd, &merge, elements, n), 0);
        board->merged += merge.merged;
}

static void merger(unsigned number) {
        int fd = device_open();
        uint32_t targets[WORKERS];

        /* Many more write than merge. */
        check_equal(setpriority(PRIO_PROCESS, 0, -5), 0);
        for (size_t i = 0; i < WORKERS; i++)
                targets[i] = device_attach(fd, board->workers[i]);
        for (unsigned round = number; !board->stop_merging; round++) {
                for (size_t i = 0; i < WORKERS; i++)
                        merge(fd, targets[i], round % 3, round % 2 ? MERGEMOD_SCAN_SAMPLE : 0);
                if (round % 8 == 0)
                        board->unmerged += device_unmerge(fd, targets[round / 8 % WORKERS],
                                                          (uintptr_t)AREA(0),
                                                          (AREA_END - (uintptr_t)AREA(0)) / PAGE,
                                                          MERGEMOD_UNMERGE_ZERO);
        }
}

static pid_t start(void (*function)(unsigned), unsigned argument) {
        pid_t pid = fork();

        check(pid >= 0);
        if (pid)
                return pid;
        alarm(seconds + 60);
        function(argument);
        _exit(0);
}

static void start_worker(unsigned unused) {
        worker();
}

static void stress(void) {
        pid_t mergers[MERGERS];
        int status;

        alarm(seconds + 90);
        board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        check(board != MAP_FAILED);
        for (size_t i = 0; i < WORKERS; i++)
                board->workers[i] = start(start_worker, i);
        for (size_t i = 0; i < MERGERS; i++)
                mergers[i] = start(merger, i);
        for (time_t end = time(NULL) + seconds; time(NULL) < end && board->merged < count;)
                sleep(1);
        board->stop_merging = true;
        for (size_t i = 0; i < MERGERS; i++) {
                check_equal(waitpid(mergers[i], &status, 0), mergers[i]);
                check_equal(status, 0);
        }
        board->stop = true;
        for (size_t i = 0; i < WORKERS; i++) {
                check_equal(waitpid(board->workers[i], &status, 0), board->workers[i]);
                check_equal(status, 0);
        }
        printf("# %lu rounds, %lu pages merged, %lu unmerged\n", board->rounds, board->merged,
               board->unmerged);
        printf("# total stress %lu\n", board->merged);
        check_at_least(board->merged, 1000);
}

static void gone(void) {
        int fd = device_open();
        struct mergemod_stats stats;

        for (int i = 0; i < 30 && device_stats(fd).frames; i++)
                sleep(1);
        stats = device_stats(fd);
        check_equal(stats.frames, 0);
        check_equal(stats.mappings, 0);
        printf("# differed %llu, busy %llu, area %llu, huge %llu, absent %llu, longest lock %llu us\n",
               stats.differed, stats.refused_busy, stats.refused_area, stats.refused_huge, stats.absent,
               stats.lock_usec_max);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "stress: writes, forks and moves while pages are merged", stress },
                { "stress: no frame is left", gone },
        };
        if (getenv("VM_COUNT"))
                count = strtoul(getenv("VM_COUNT"), NULL, 10);
        if (getenv("VM_SECONDS"))
                seconds = atoi(getenv("VM_SECONDS"));
        return CASES_RUN(argc, argv, cases);
}
