// SPDX-License-Identifier: LGPL-2.1-or-later
/* What mremap, mlock, madvise and move_pages promise. */
#include <errno.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hammer.h"
#include "pages.h"

#define SEED 7
#define N 128

/* From and to every alignment within a huge page, with and without neighbours. */
static void moves(void) {
        hammer_begin();
        for (size_t round = 0; hammer_round(); round++) {
                size_t from = round * 3 % 512 * PAGE, to = HUGE_PAGE * 8 + round * 5 % 512 * PAGE;
                char *area = under_test(from, N), *before = under_test(to - PAGE, 1), *moved;
                char *after = under_test(to + N * PAGE, 1);

                pages_fill(area, N, SEED + round);
                pages_fill(before, 1, SEED);
                pages_fill(after, 1, SEED + 1);
                moved = mremap(area, N * PAGE, N * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, UNDER_TEST + to);
                check(moved == UNDER_TEST + to);
                check_equal(pages_wrong(moved, N, SEED + round), 0);
                check_equal(pages_wrong(before, 1, SEED) + pages_wrong(after, 1, SEED + 1), 0);
                check_equal(msync(area, PAGE, MS_ASYNC), -1);
                check_equal(errno, ENOMEM);
                munmap(before, (N + 2) * PAGE);
        }
}

static void grows(void) {
        hammer_begin();
        for (size_t round = 0; hammer_round(); round++) {
                char *area = under_test(0, N), *other = under_test(HUGE_PAGE * 4, N);

                pages_fill(area, N, SEED + round);
                pages_fill(other, N, SEED + round);
                munmap(area + N * PAGE, N * PAGE);
                check(mremap(area, N * PAGE, 2 * N * PAGE, 0) == area);
                check_equal(pages_wrong(area, N, SEED + round) + pages_wrong(area + N * PAGE, N, 0), 0);
                check(mremap(area, 2 * N * PAGE, N / 2 * PAGE, 0) == area);
                check_equal(pages_wrong(area, N / 2, SEED + round), 0);
                /* The old place stays, empty. */
                check(mremap(other, N * PAGE, N * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
                             UNDER_TEST + HUGE_PAGE * 8) == UNDER_TEST + HUGE_PAGE * 8);
                check_equal(pages_wrong(UNDER_TEST + HUGE_PAGE * 8, N, SEED + round), 0);
                check_equal(pages_wrong(other, N, 0), 0);
        }
}

/* Locked memory is there, stays there, and counts. */
static void locks(void) {
        hammer_begin();
        for (size_t round = 0; hammer_round(); round++) {
                char *area = under_test(0, N);
                uint64_t frames[N];

                pages_fill(area, N, SEED + round);
                usleep(5000);
                check_equal(mlock(area, N * PAGE), 0);
                check_equal(kib_of(getpid(), "VmLck"), N * 4);
                for (size_t i = 0; i < N; i++) {
                        frames[i] = page_frame(getpid(), (uintptr_t)area + i * PAGE);
                        check(frames[i]);
                }
                usleep(5000);
                check_equal(pages_wrong(area, N, SEED + round), 0);
                pages_fill(area, N, SEED + round + 1);
                for (size_t i = 0; i < N; i++)
                        check_equal(page_frame(getpid(), (uintptr_t)area + i * PAGE), frames[i]);
                check_equal(munlock(area, N * PAGE), 0);
                check_equal(kib_of(getpid(), "VmLck"), 0);
                usleep(5000);
                check_equal(pages_wrong(area, N, SEED + round + 1), 0);

                area = under_test(HUGE_PAGE, N);
                check_equal(mlock2(area, N * PAGE, MLOCK_ONFAULT), 0);
                for (size_t i = 0; i < N; i++)
                        check_equal(page_frame(getpid(), (uintptr_t)area + i * PAGE), 0);
                pages_fill(area, N, SEED);
                check_equal(munlock(area, N * PAGE), 0);
                usleep(5000);
                check_equal(pages_wrong(area, N, SEED), 0);
        }
}

/* Parts of a large area locked and unlocked at random. */
static void random_locks(void) {
        unsigned random = 1;
        char *area;

        hammer_begin();
        area = under_test(0, 4 * N);
        pages_fill(area, 4 * N, SEED);
        while (hammer_round()) {
                for (int i = 0; i < 50; i++) {
                        size_t start = (random = random * 1103515245 + 12345) / 65536 % (4 * N - 16);
                        size_t n = 1 + (random = random * 1103515245 + 12345) / 65536 % 16;

                        if (random & 65536)
                                check_equal(mlock(area + start * PAGE, n * PAGE), 0);
                        else
                                check_equal(munlock(area + start * PAGE, n * PAGE), 0);
                }
                check_equal(munlock(area, 4 * N * PAGE), 0);
                check_equal(kib_of(getpid(), "VmLck"), 0);
                check_equal(pages_wrong(area, 4 * N, SEED), 0);
                pages_fill(area, 4 * N, SEED);
        }
}

static void discards(void) {
        hammer_begin();
        for (size_t round = 0; hammer_round(); round++) {
                char *area = under_test(0, N);

                pages_fill(area, N, SEED + round);
                usleep(5000);
                check_equal(madvise(area, N / 2 * PAGE, MADV_DONTNEED), 0);
                check_equal(pages_wrong(area, N / 2, 0), 0);
                pages_fill(area, N / 2, SEED + round);
                check_equal(pages_wrong(area, N, SEED + round), 0);
                /* What is offered is either there or zeros. */
                check_equal(madvise(area, N * PAGE, MADV_FREE), 0);
                for (size_t i = 0; i < N; i++)
                        if (*(uint64_t *)(area + i * PAGE) == 0)
                                check_equal(pages_wrong(area + i * PAGE, 1, 0), 0);
                pages_fill(area, N, SEED);
                check_equal(madvise(area, N * PAGE, MADV_COLD), 0);
                check_equal(madvise(area, N * PAGE, MADV_PAGEOUT), 0);
                check_equal(pages_wrong(area, N, SEED), 0);
        }
}

static atomic_bool stop;

static void *look(void *argument) {
        char *area = argument;

        while (!stop)
                check_equal(pages_wrong(area, N, SEED), 0);
        return NULL;
}

static void move_to(char *area, int node) {
        void *pages[N];
        int nodes[N], status[N];

        for (size_t i = 0; i < N; i++) {
                pages[i] = area + i * PAGE;
                nodes[i] = node;
        }
        check_at_least(syscall(SYS_move_pages, 0, N, pages, nodes, status, MPOL_MF_MOVE_ALL), 0);
}

/* Two threads look while the pages go from node to node. */
static void migration(void) {
        pthread_t threads[2];
        char *area;

        hammer_begin();
        area = under_test(0, N);
        while (hammer_round()) {
                stop = false;
                pages_fill(area, N, SEED);
                for (size_t i = 0; i < 2; i++)
                        check_equal(pthread_create(&threads[i], NULL, look, area), 0);
                for (int i = 0; i < 20; i++)
                        move_to(area, i % 2);
                stop = true;
                for (size_t i = 0; i < 2; i++)
                        pthread_join(threads[i], NULL);
        }
}

/* Processes of three generations have a page; it is moved; all of them see the same bytes afterwards. */
static void rmap(void) {
        hammer_begin();
        for (size_t round = 0; hammer_round(); round++) {
                char *area = under_test(0, N);
                int status, gate[2];
                pid_t pid;

                pages_fill(area, N, SEED + round);
                check(pipe(gate) == 0);
                pid = fork();
                if (pid == 0) {
                        char byte;
                        pid_t child = fork();

                        close(gate[1]);
                        check_equal(read(gate[0], &byte, 1), 0);
                        if (pages_wrong(area, N, SEED + round))
                                _exit(1);
                        if (child == 0)
                                _exit(0);
                        check_equal(waitpid(child, &status, 0), child);
                        _exit(status != 0);
                }
                move_to(area, round % 2);
                move_to(area, (round + 1) % 2);
                close(gate[0]);
                close(gate[1]);
                check_equal(waitpid(pid, &status, 0), pid);
                check_equal(status, 0);
                check_equal(pages_wrong(area, N, SEED + round), 0);
        }
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "areas: mremap to all alignments", moves },
                { "areas: mremap grows, shrinks, leaves the old place", grows },
                { "areas: mlock and mlock2", locks },
                { "areas: mlock at random", random_locks },
                { "areas: DONTNEED, FREE, COLD, PAGEOUT", discards },
                { "areas: migration while threads look", migration },
                { "areas: migration of what three generations share", rmap },
        };

        return HAMMER_CASES_RUN(argc, argv, cases);
}
