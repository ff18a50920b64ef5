// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory errors in merged pages. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "held.h"
#include "twin.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

#define SEED 91
#define N 32

/* The kernel knows nobody who could do without a shared frame; it stays where it is, and is marked. */
static void hard(void) {
        struct twin twin = twin_merged(N, SEED);
        uint64_t broken = page_frame(getpid(), (uintptr_t)twin.a);
        char *third;

        check_equal(madvise(twin.a, PAGE, MADV_HWPOISON), -1);
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);

        /* Nobody comes to share it any more. */
        third = pages_map(N);
        pages_fill(third, N, SEED);
        pages_settle();
        check_equal(twin_merge(&twin, third, N), N);
        check(page_frame(getpid(), (uintptr_t)third) != broken);
        check_equal(page_frame(getpid(), (uintptr_t)third + PAGE),
                    page_frame(getpid(), (uintptr_t)twin.b + PAGE));
        check_equal(pages_wrong(third, N, SEED), 0);

        /* And it does not come back as anything else. */
        pages_fill(twin.a, N, SEED + 1);
        pages_fill(twin.b, N, SEED + 1);
        munmap(third, N * PAGE);
        frames_gone(twin.fd);
        third = pages_map(4096);
        pages_fill(third, 4096, SEED);
        for (size_t i = 0; i < 4096; i++)
                check(page_frame(getpid(), (uintptr_t)third + i * PAGE) != broken);
        check_equal(pages_wrong(twin.a, N, SEED + 1) + pages_wrong(twin.b, N, SEED + 1), 0);
}

static void soft(void) {
        struct twin twin = twin_merged(N, SEED);

        check_equal(madvise(twin.a, PAGE, MADV_SOFT_OFFLINE), -1);
        check_equal(twin_shared(&twin), N);
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        pages_fill(twin.a, N, SEED);
        check_equal(madvise(twin.a, PAGE, MADV_SOFT_OFFLINE), 0);
        check_equal(pages_wrong(twin.a, N, SEED) + twin_wrong(&twin), 0);
        twin_end(&twin);
}

static void be_told(int unused) {
}

/* Before merging: who reads such a page is killed, and nobody else. */
static void before(void) {
        struct twin twin = twin_make(N, SEED);
        int status;
        pid_t pid;

        /* Newer kernels tell everybody who has the page, not only who reads it. */
        signal(SIGBUS, be_told);
        check_equal(madvise(twin.a, PAGE, MADV_HWPOISON), 0);
        check_equal(twin_merge(&twin, twin.a, N), N - 1);
        check_equal(twin_merge(&twin, twin.b, N), N);
        pid = fork();
        if (pid == 0) {
                signal(SIGBUS, SIG_DFL);
                _exit(*(volatile char *)twin.a);
        }
        check_equal(waitpid(pid, &status, 0), pid);
        check(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
        check_equal(pages_wrong(twin.b, N, SEED), 0);
        twin_end(&twin);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "memory errors: in a merged page", hard },
                { "memory errors: a merged page is not taken offline, a written one is", soft },
                { "memory errors: before merging", before },
        };

        return CASES_RUN(argc, argv, cases);
}
