// SPDX-License-Identifier: LGPL-2.1-or-later
/* What fork promises: neither side sees what the other writes afterwards, whatever holds the pages. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hammer.h"
#include "pages.h"
#include "ring.h"

#define SEED 3
#define N 64

static void wait_for(pid_t pid) {
        int status;

        check_equal(waitpid(pid, &status, 0), pid);
        check_equal(status, 0);
}

/* Two pipes: the child says that it is ready, the parent that it has written. */
struct gates {
        int ready[2], written[2];
};

static struct gates gates_open(void) {
        struct gates gates;

        check(pipe(gates.ready) == 0 && pipe(gates.written) == 0);
        return gates;
}

static void gates_close(struct gates *gates) {
        close(gates->ready[0]);
        close(gates->ready[1]);
        close(gates->written[0]);
        close(gates->written[1]);
}

static void say(int *gate) {
        check_equal(write(gate[1], "", 1), 1);
}

static void hear(int *gate) {
        char byte;

        check_equal(read(gate[0], &byte, 1), 1);
}

static char *filled(size_t n) {
        char *area = under_test(0, n);

        pages_fill(area, n, SEED);
        return area;
}

static void parent_writes(void) {
        hammer_begin();
        while (hammer_round()) {
                struct gates gates = gates_open();
                char *area = filled(N);
                pid_t pid = fork();

                if (pid == 0) {
                        hear(gates.written);
                        _exit(pages_wrong(area, N, SEED) != 0);
                }
                pages_fill(area, N, SEED + 1);
                say(gates.written);
                wait_for(pid);
                check_equal(pages_wrong(area, N, SEED + 1), 0);
                gates_close(&gates);
        }
}

static void child_writes(void) {
        hammer_begin();
        while (hammer_round()) {
                char *area = filled(N);
                pid_t pid = fork();

                if (pid == 0) {
                        pages_fill(area, N, SEED + 1);
                        _exit(pages_wrong(area, N, SEED + 1) != 0);
                }
                wait_for(pid);
                check_equal(pages_wrong(area, N, SEED), 0);
        }
}

/* Only allowed to read for a while: what may be written to again is still a copy. */
static void protected(void) {
        hammer_begin();
        while (hammer_round()) {
                struct gates gates = gates_open();
                char *area = filled(N);
                pid_t pid = fork();

                if (pid == 0) {
                        hear(gates.written);
                        _exit(pages_wrong(area, N, SEED) != 0);
                }
                check_equal(mprotect(area, N * PAGE, PROT_READ), 0);
                check_equal(mprotect(area, N * PAGE, PROT_READ | PROT_WRITE), 0);
                pages_fill(area, N, SEED + 1);
                say(gates.written);
                wait_for(pid);
                gates_close(&gates);
        }
}

#define PIPED 8

static void splice_in(const char *area, int *ends) {
        struct iovec iov = { (void *)area, PIPED * PAGE };

        check(pipe(ends) == 0);
        check_equal(vmsplice(ends[1], &iov, 1, 0), PIPED * PAGE);
}

static size_t spliced_wrong(int *ends) {
        static char back[PIPED * PAGE];

        for (size_t n = 0; n < sizeof(back);) {
                ssize_t r = read(ends[0], back + n, sizeof(back) - n);

                check(r > 0);
                n += r;
        }
        close(ends[0]);
        close(ends[1]);
        return pages_wrong(back, PIPED, SEED);
}

/* The child has put the parent's pages into a pipe and lets go of them; the parent writes. */
static void child_splices(void) {
        hammer_begin();
        while (hammer_round()) {
                struct gates gates = gates_open();
                char *area = filled(N);
                pid_t pid = fork();

                if (pid == 0) {
                        int ends[2];

                        splice_in(area, ends);
                        munmap(area, N * PAGE);
                        say(gates.ready);
                        hear(gates.written);
                        _exit(spliced_wrong(ends) != 0);
                }
                hear(gates.ready);
                pages_fill(area, N, SEED + 1);
                say(gates.written);
                wait_for(pid);
                check_equal(pages_wrong(area, N, SEED + 1), 0);
                gates_close(&gates);
        }
}

/* The parent has put them into a pipe, before or after the fork; the child writes. */
static void parent_splices(void) {
        hammer_begin();
        for (unsigned round = 0; hammer_round(); round++) {
                struct gates gates = gates_open();
                char *area = filled(N);
                int ends[2];
                pid_t pid;

                if (round % 2)
                        splice_in(area, ends);
                pid = fork();
                if (pid == 0) {
                        hear(gates.written);
                        pages_fill(area, N, SEED + 1);
                        _exit(pages_wrong(area, N, SEED + 1) != 0);
                }
                if (round % 2 == 0)
                        splice_in(area, ends);
                say(gates.written);
                wait_for(pid);
                check_equal(spliced_wrong(ends), 0);
                check_equal(pages_wrong(area, N, SEED), 0);
                gates_close(&gates);
        }
}

/* What a device reads from a registered buffer is what the process has written there, also after a fork. */
static void registered(void) {
        hammer_begin();
        while (hammer_round()) {
                static char back[PIPED * PAGE];
                char *area = filled(N);
                struct ring ring = ring_open(area, PIPED * PAGE);
                struct gates gates = gates_open();
                int ends[2];
                pid_t pid = fork();

                if (pid == 0) {
                        hear(gates.written);
                        _exit(pages_wrong(area, N, SEED) != 0);
                }
                check(pipe(ends) == 0);
                pages_fill(area, N, SEED + 1);
                check_equal(ring_write(&ring, ends[1], 0, sizeof(back), -1), sizeof(back));
                check_equal(read(ends[0], back, sizeof(back)), sizeof(back));
                check_equal(pages_wrong(back, PIPED, SEED + 1), 0);
                pages_fill(back, PIPED, SEED + 2);
                check_equal(write(ends[1], back, sizeof(back)), sizeof(back));
                check_equal(ring_read(&ring, ends[0], 0, sizeof(back), -1), sizeof(back));
                check_equal(pages_wrong(area, PIPED, SEED + 2), 0);
                say(gates.written);
                wait_for(pid);
                ring_close(&ring);
                close(ends[0]);
                close(ends[1]);
                gates_close(&gates);
        }
}

static void huge(void) {
        hammer_begin();
        while (hammer_round()) {
                char *area = under_test(0, 2 * 512);
                pid_t pid;

                check_equal(madvise(area, 2 * HUGE_PAGE, MADV_HUGEPAGE), 0);
                pages_fill(area, 2 * 512, SEED);
                pid = fork();
                if (pid == 0) {
                        pages_fill(area + 128 * PAGE, 512, SEED + 1);
                        _exit(pages_wrong(area + 128 * PAGE, 512, SEED + 1) +
                              pages_wrong(area, 128, SEED) != 0);
                }
                wait_for(pid);
                check_equal(pages_wrong(area, 2 * 512, SEED), 0);
        }
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "cow: the parent writes", parent_writes },
                { "cow: the child writes", child_writes },
                { "cow: pages protected meanwhile", protected },
                { "cow: pages that the child has in a pipe", child_splices },
                { "cow: pages that the parent has in a pipe", parent_splices },
                { "cow: pages of a fixed buffer", registered },
                { "cow: huge pages", huge },
        };

        return HAMMER_CASES_RUN(argc, argv, cases);
}
