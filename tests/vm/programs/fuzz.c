// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fuzz.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "pages.h"

struct fuzz_board *fuzz_board_map(void) {
        int fd = open(FUZZ_BOARD, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        struct fuzz_board *board;

        check(fd >= 0);
        check_equal(ftruncate(fd, sizeof(*board)), 0);
        board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        check(board != MAP_FAILED);
        close(fd);
        return board;
}

uint64_t random_next(struct random *random) {
        uint64_t x = random->state += 0x9e3779b97f4a7c15;

        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
}

unsigned random_below(struct random *random, unsigned n) {
        return (random_next(random) >> 32) * n >> 32;
}

/* What a target holds, and must find again. */
struct holding {
        struct fuzz_board *board;
        struct random random;
        unsigned number;
        unsigned char seeds[FUZZ_PAGES];
};

static char *page_at(size_t page) {
        return (char *)FUZZ_ADDRESS + page * PAGE;
}

static void look(struct holding *holding, size_t page) {
        if (pages_wrong(page_at(page), 1, holding->seeds[page])) {
                holding->board->wrong++;
                printf("# page %zu of target %u is wrong\n", page, holding->number);
                fflush(stdout);
        }
}

static void look_at_all(struct holding *holding) {
        for (size_t i = 0; i < FUZZ_PAGES; i++)
                look(holding, i);
}

static void write_one(struct holding *holding) {
        size_t page = random_below(&holding->random, FUZZ_PAGES);

        look(holding, page);
        holding->seeds[page] = random_once_in(&holding->random, 4) ?
                random_below(&holding->random, 8) : page % FUZZ_SEEDS;
        pages_fill(page_at(page), 1, holding->seeds[page]);
}

static void map_anew(struct holding *holding) {
        void *address = mmap((void *)FUZZ_ADDRESS, FUZZ_PAGES * PAGE, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

        check(address == (void *)FUZZ_ADDRESS);
        for (size_t i = 0; i < FUZZ_PAGES; i++) {
                holding->seeds[i] = i % FUZZ_SEEDS;
                pages_fill(page_at(i), 1, i % FUZZ_SEEDS);
        }
}

static void have_child(struct holding *holding) {
        pid_t pid = fork();

        if (pid == 0) {
                for (unsigned i = 0; i < 8; i++)
                        write_one(holding);
                look_at_all(holding);
                _exit(0);
        }
        if (pid > 0)
                waitpid(pid, NULL, 0);
        look_at_all(holding);
}

static void discard(struct holding *holding) {
        size_t page = random_below(&holding->random, FUZZ_PAGES - 16);

        check_equal(madvise(page_at(page), 16 * PAGE, MADV_DONTNEED), 0);
        memset(holding->seeds + page, 0, 16);
}

static void advise(struct holding *holding) {
        static const int advices[] = { MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLD, MADV_UNMERGEABLE };

        madvise((void *)FUZZ_ADDRESS, FUZZ_PAGES * PAGE, advices[random_below(&holding->random, 4)]);
}

static void forbid_writing(struct holding *holding) {
        check_equal(mprotect((void *)FUZZ_ADDRESS, FUZZ_PAGES * PAGE, PROT_READ), 0);
        look_at_all(holding);
        check_equal(mprotect((void *)FUZZ_ADDRESS, FUZZ_PAGES * PAGE, PROT_READ | PROT_WRITE), 0);
}

static void become_new(struct holding *holding) {
        char number[16], seed[32];

        snprintf(number, sizeof(number), "%u", holding->number);
        snprintf(seed, sizeof(seed), "%lu", random_next(&holding->random));
        execl("/proc/self/exe", "test-fuzz", "target", number, seed, NULL);
        fail("exec does not work");
}

static void act(struct holding *holding) {
        switch (random_below(&holding->random, 256)) {
        case 0: map_anew(holding); break;
        case 1 ... 4: have_child(holding); break;
        case 5 ... 8: discard(holding); break;
        case 9 ... 12: advise(holding); break;
        case 13 ... 14: forbid_writing(holding); break;
        case 15: become_new(holding); break;
        case 16: look_at_all(holding); _exit(0);
        case 17 ... 64: usleep(2000); break;
        default: write_one(holding);
        }
}

void fuzz_target(struct fuzz_board *board, unsigned number, uint64_t seed) {
        struct holding holding = { .board = board, .number = number, .random = { seed } };

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* Calls are to be many; where the kernel checks everything, forks alone fill the processors. */
        check(nice(10) >= 0);
        map_anew(&holding);
        pages_settle();
        board->pids[number] = getpid();
        while (!board->stop)
                act(&holding);
        look_at_all(&holding);
        _exit(0);
}
