/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "bench.h"
#include "shared/macro.h"

/* What of address-space randomisation is left to programs that mergemem-run starts, and how long a start
 * takes. This program starts itself many times over and notes where things are: as any program is
 * started; each in a layout group of its own, which is what somebody sees who does not know the secret; and
 * all in one group. The figure is the binary logarithm of how many places there are between the lowest and
 * the highest that were seen. */

#define STARTS_DEFAULT 2000U
#define STARTS_MAX 100000U
#define PLACES 7U
#define PROBE "--probe"

static const char *const place_names[PLACES] = {
        "program", "heap", "heap behind program", "libraries", "mappings", "stack", "thread's stack",
};

static void *note_stack(void *ret)
{
        int here;

        *(uint64_t *) ret = (uint64_t) (uintptr_t) &here;
        return NULL;
}

static int probe(void)
{
        uint64_t places[PLACES] = { 0 };
        pthread_t thread;
        void *p;

        p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        places[0] = (uint64_t) (uintptr_t) place_names;
        places[1] = (uint64_t) (uintptr_t) sbrk(0);
        places[2] = places[1] - places[0];
        places[3] = (uint64_t) (uintptr_t) &stdout->_flags;
        places[4] = (uint64_t) (uintptr_t) p;
        places[5] = (uint64_t) (uintptr_t) __builtin_frame_address(0);
        if (pthread_create(&thread, NULL, note_stack, &places[6]) != 0 || pthread_join(thread, NULL) != 0)
                return EXIT_FAILURE;
        return write(STDOUT_FILENO, places, sizeof(places)) == sizeof(places) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int start(char **argv, uint64_t places[PLACES])
{
        /* One environment for all: what is in it moves the stack. */
        static char *environment[] = { (char *) "PATH=/usr/bin:/bin", NULL };
        posix_spawn_file_actions_t actions;
        int fds[2], status, r;
        ssize_t n;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
        r = -posix_spawn(&pid, argv[0], &actions, NULL, argv, environment);
        posix_spawn_file_actions_destroy(&actions);
        close(fds[1]);
        if (r < 0) {
                close(fds[0]);
                return r;
        }
        n = read(fds[0], places, PLACES * sizeof(*places));
        close(fds[0]);
        if (waitpid(pid, &status, 0) < 0 || status != 0 || n != PLACES * sizeof(*places))
                return -ECHILD;
        return 0;
}

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
        while (b != 0) {
                uint64_t rest = a % b;

                a = b;
                b = rest;
        }
        return a;
}

static double bits(const uint64_t *values, size_t stride, size_t n)
{
        uint64_t low = values[0], high = values[0], step = 0;

        for (size_t i = 1; i < n; i++) {
                uint64_t v = values[i * stride];

                low = MIN(low, v);
                high = MAX(high, v);
                step = greatest_divisor(step, v > values[0] ? v - values[0] : values[0] - v);
        }
        return step == 0 ? 0 : log2((double) ((high - low) / step + 1));
}

enum way { NORMAL, OUTSIDE, INSIDE, WAYS };

struct figures {
        double bits[PLACES];
        double start_sec; /* the least, from the request to the end of the program */
};

static int measure(enum way way, const char *self, size_t n, struct figures *ret)
{
        _cleanup_(freep) uint64_t *values = calloc(n * PLACES, sizeof(*values));
        int r;

        if (!values)
                return -ENOMEM;
        ret->start_sec = HUGE_VAL;
        for (size_t i = 0; i < n; i++) {
                char group[64];
                char *argv[] = { (char *) BENCH_RUN, group, (char *) "--", (char *) self, (char *) PROBE,
                                 NULL };

                double begin = bench_now_sec();

                snprintf(group, sizeof(group), "--group=g%zu", way == OUTSIDE ? i : 0);
                r = start(way == NORMAL ? argv + 3 : argv, values + i * PLACES);
                if (r < 0)
                        return r;
                ret->start_sec = fmin(ret->start_sec, bench_now_sec() - begin);
        }
        for (size_t k = 0; k < PLACES; k++)
                ret->bits[k] = bits(values + k, PLACES, n);
        return 0;
}

static void print_table(const struct figures f[WAYS], size_t n)
{
        printf("Bits of entropy, of %zu starts each\n%-20s%12s%16s%16s\n", n, "", "normally", "other groups",
               "the own group");
        for (size_t k = 0; k < PLACES; k++)
                printf("%-20s%12.1f%16.1f%16.1f\n", place_names[k], f[NORMAL].bits[k], f[OUTSIDE].bits[k],
                       f[INSIDE].bits[k]);
        printf("%-20s%9.2f ms%13.2f ms%13.2f ms\n", "shortest start", f[NORMAL].start_sec * 1e3,
               f[OUTSIDE].start_sec * 1e3, f[INSIDE].start_sec * 1e3);
}

static void print_json(const struct figures f[WAYS])
{
        static const char *const way_names[WAYS] = { "normal", "outside", "inside" };

        for (enum way way = NORMAL; way < WAYS; way++) {
                printf("%s{\"way\":\"%s\",\"start_sec\":%.6f", way == NORMAL ? "[" : ",", way_names[way],
                       f[way].start_sec);
                for (size_t k = 0; k < PLACES; k++)
                        printf(",\"%s\":%.1f", place_names[k], f[way].bits[k]);
                printf("}");
        }
        puts("]");
}

int main(int argc, char *argv[])
{
        struct rlimit stack;
        char self[4096];
        struct figures figures[WAYS];
        bool json = false;
        size_t n = STARTS_DEFAULT;
        ssize_t length;
        int r;

        if (argc == 2 && streq(argv[1], PROBE))
                return probe();
        for (int i = 1; i < argc; i++) {
                if (streq(argv[i], "--json"))
                        json = true;
                else if (sscanf(argv[i], "--starts=%zu", &n) != 1 || n < 2 || n > STARTS_MAX) {
                        fprintf(stderr, "usage: bench-entropy [--json] [--starts=2...%u]\n", STARTS_MAX);
                        return 2;
                }
        }

        /* Secrets that go with us. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0) {
                perror("bench-entropy: covering /run takes root");
                return EXIT_FAILURE;
        }
        length = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (length < 0 || getrlimit(RLIMIT_STACK, &stack) < 0)
                return EXIT_FAILURE;
        self[length] = '\0';
        stack.rlim_cur = 8U << 20;
        if (setrlimit(RLIMIT_STACK, &stack) < 0)
                return EXIT_FAILURE;

        for (enum way way = NORMAL; way < WAYS; way++) {
                r = measure(way, self, n, &figures[way]);
                if (r < 0) {
                        fprintf(stderr, "bench-entropy: %s\n", strerror(-r));
                        return EXIT_FAILURE;
                }
        }
        if (json)
                print_json(figures);
        else
                print_table(figures, n);
        return EXIT_SUCCESS;
}
