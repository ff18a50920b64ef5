// SPDX-License-Identifier: LGPL-2.1-or-later
/* mergemem with the module: it merges at once, without the service, before it and beside it. */
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "case.h"
#include "pages.h"
#include "peer.h"
#include "service.h"

#define ADDRESS 0x300000000000UL
#define STACK 0x310000000000UL
#define N 1024
#define SEED 91
#define USER 1000
#define OTHER 1001

static char *map(unsigned long address, int protection, size_t n) {
        char *pages = mmap((void *)address, n * PAGE, protection,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

        check(pages == (char *)address);
        return pages;
}

static char *pages, *stack;

/* Pages of each other content, and what looks like the stack of a thread: right above a guard. */
static long hold(long seed) {
        if (!pages) {
                /* Whoever has changed his user is not, until he executes something. */
                check(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
                pages = map(ADDRESS, PROT_READ | PROT_WRITE, N);
                map(STACK, PROT_NONE, 1);
                stack = map(STACK + PAGE, PROT_READ | PROT_WRITE, N);
                madvise(pages, N * PAGE, MADV_NOHUGEPAGE);
                madvise(stack, N * PAGE, MADV_NOHUGEPAGE);
        }
        pages_fill(pages, N, seed);
        pages_fill(stack, N, seed + 1000);
        pages_settle();
        return 0;
}

static long wrong(long seed) {
        return pages_wrong(pages, N, seed) + pages_wrong(stack, N, seed + 1000);
}

static long writes(long unused) {
        for (size_t i = 0; i < N; i += 2)
                ((volatile char *)pages)[i * PAGE] = pages[i * PAGE];
        return 0;
}

static struct peer holder_of(uid_t uid, long seed) {
        struct peer peer = peer_start_as(uid);

        peer_call(&peer, hold, seed);
        return peer;
}

/* What mergemem says, to be freed; it has to succeed. The service of the test, if there is one, has the same
 * directory. */
static char *mergemem(const char *options, const struct peer *peers, size_t n) {
        char command[512], *output = calloc(1, 1 << 16);
        int size = snprintf(command, sizeof(command), "./mergemem --config=%s %s", SERVICE_CONF, options);
        FILE *f;

        for (size_t i = 0; i < n; i++)
                size += snprintf(command + size, sizeof(command) - size, " %d", (int)peers[i].pid);
        f = popen(command, "re");
        check(f && output);
        check(fread(output, 1, (1 << 16) - 1, f) > 0);
        if (pclose(f) != 0)
                fail("%s: %s", command, output);
        return output;
}

/* The number behind a name in what it says. */
static long figure(const char *output, const char *name) {
        const char *at = strstr(output, name);

        if (!at)
                fail("no \"%s\" in %s", name, output);
        at += strlen(name);
        return strtol(at + strspn(at, ": "), NULL, 10);
}

static void check_shared(const struct peer *a, const struct peer *b) {
        check_at_least(pages_shared(a->pid, b->pid, ADDRESS, N), N - 32);
}

static void set_up(void) {
        check_equal(system("rm -rf /tmp/run /run/mergemem/*; mkdir -p /run/mergemem; "
                           "ln -s /run/mergemem /tmp/run"), 0);
        service_write(SERVICE_CONF, "[Daemon]\nAutomatic=no\n");
}

static void merge(void) {
        struct peer peers[5];
        char *output;

        set_up();
        for (size_t i = 0; i < 5; i++)
                peers[i] = holder_of(i < 3 ? USER : OTHER, SEED);
        output = mergemem("--no-stack", peers, 5);
        if (!strstr(output, " by direct\n"))
                fail("not merged by direct: %s", output);
        check_at_least(figure(output, "\nFrames freed"), 3 * (N - 32));
        check_at_least(figure(output, "\nMerged"), 5 * (N - 32));
        free(output);
        check_shared(&peers[0], &peers[1]);
        check_shared(&peers[0], &peers[2]);
        /* The module keeps users apart; both were merged. */
        check_shared(&peers[3], &peers[4]);
        check_equal(pages_shared(peers[0].pid, peers[3].pid, ADDRESS, N), 0);
        check_equal(pages_shared(peers[0].pid, peers[1].pid, STACK + PAGE, N), 0);
        for (size_t i = 0; i < 5; i++)
                check_equal(peer_call(&peers[i], wrong, SEED), 0);

        /* Stacks, where they are not left alone. */
        output = mergemem("", peers, 3);
        check_at_least(figure(output, "\nOn stacks"), 3 * N);
        check_at_least(figure(output, "\nFrames freed"), 2 * (N - 32));
        free(output);
        check_at_least(pages_shared(peers[0].pid, peers[1].pid, STACK + PAGE, N), N - 32);
        for (size_t i = 0; i < 5; i++)
                check_equal(peer_call(&peers[i], wrong, SEED), 0);

        /* What is written to is merged again by the next. */
        peer_call(&peers[0], writes, 0);
        check_equal(pages_shared(peers[0].pid, peers[1].pid, ADDRESS, N) > N / 2 + 32, 0);
        peer_call(&peers[0], hold, SEED);
        free(mergemem("", peers, 3));
        check_shared(&peers[0], &peers[1]);
        check_equal(peer_call(&peers[0], wrong, SEED), 0);
}

/* The service knows what was merged before it came, and gives it back. */
static void unmerge(void) {
        struct peer peers[2] = { holder_of(USER, SEED), holder_of(USER, SEED) };
        struct service service;

        set_up();
        free(mergemem("", peers, 2));
        check_shared(&peers[0], &peers[1]);
        service = service_start();
        check_at_least(stats_number("merged_pages"), 2 * (N - 32));
        free(ctl("unmerge --pid %d --pid %d", peers[0].pid, peers[1].pid));
        check_equal(pages_shared(peers[0].pid, peers[1].pid, ADDRESS, N), 0);
        check_equal(peer_call(&peers[0], wrong, SEED) + peer_call(&peers[1], wrong, SEED), 0);
        service_end(&service);
}

static void beside(void) {
        struct peer peers[2] = { holder_of(USER, SEED), holder_of(USER, SEED) };
        struct service service;
        char *output, *json;

        set_up();
        service = service_start();
        json = ctl("estimate --pid %d --pid %d", peers[0].pid, peers[1].pid);
        output = mergemem("--dry-run", peers, 2);
        check_equal(figure(output, "Pages looked at"), json_number(json, "pages"));
        check_equal(figure(output, "Duplicates"), json_number(json, "duplicate_frames"));
        check_equal(figure(output, "zeros"), json_number(json, "zero_frames"));
        free(output);
        check_equal(pages_shared(peers[0].pid, peers[1].pid, ADDRESS, N), 0);

        output = mergemem("", peers, 2);
        if (!strstr(output, " by direct\n"))
                fail("not merged by direct: %s", output);
        check_at_least(figure(output, "\nFrames freed"), 2 * (N - 32));
        check_shared(&peers[0], &peers[1]);
        check_equal(peer_call(&peers[0], wrong, SEED) + peer_call(&peers[1], wrong, SEED), 0);
        free(output);
        free(json);
        service_end(&service);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "alone: merges at once, users apart, stacks if wanted", merge },
                { "alone: the service gives back what was merged before it", unmerge },
                { "alone: beside the service, with its figures", beside },
        };

        return CASES_RUN(argc, argv, cases);
}
