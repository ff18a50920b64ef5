/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <xxhash.h>

#include "bench.h"
#include "lib/hash.h"
#include "lib/scan.h"
#include "shared/macro.h"

double bench_now_sec(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int compare_double(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
        qsort(values, n, sizeof(*values), compare_double);
        return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void fill_unique(uint64_t *words, size_t n)
{
        uint64_t x = UINT64_C(0x9e3779b97f4a7c15);

        for (size_t i = 0; i < n; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                words[i] = x;
        }
}

int bench_target_start(uint64_t size, struct bench_target *ret)
{
        struct bench_target t = { .size = size };
        char path[64], byte;
        int ready[2];

        if (pipe2(ready, O_CLOEXEC) < 0)
                return -errno;

        /* Mapped before the fork, so that both know where; nothing of it is touched here. */
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                return -errno;
        t.start = (uintptr_t)p;

        t.pid = fork();
        if (t.pid < 0)
                return -errno;
        if (t.pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                fill_unique(p, size / sizeof(uint64_t));
                if (write(ready[1], "", 1) != 1)
                        _exit(EXIT_FAILURE);
                for (;;)
                        pause();
        }

        munmap(p, size);
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1)
                return -ECHILD;
        close(ready[0]);

        snprintf(path, sizeof(path), "/proc/%d", (int)t.pid);
        t.dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (t.dir_fd < 0)
                return -errno;

        *ret = t;
        return 0;
}

void bench_target_stop(struct bench_target *t)
{
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, 0);
        safe_close(t->dir_fd);
}

int bench_plain_round(const struct bench_target *t, uint8_t *buffer, double *ret_sec)
{
        _cleanup_(closep) int fd = -EBADF;
        double start = bench_now_sec();
        uint64_t sum = 0;

        fd = openat(t->dir_fd, "mem", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;

        for (uint64_t done = 0; done < t->size; done += MM_SCAN_BUFFER) {
                ssize_t n = pread(fd, buffer, MM_SCAN_BUFFER, (off_t)(t->start + done));

                if (n != MM_SCAN_BUFFER)
                        return n < 0 ? -errno : -EIO;
                sum ^= XXH3_64bits(buffer, MM_SCAN_BUFFER);
        }

        /* Kept, so that no compiler finds the loop idle. */
        __asm__ volatile("" : : "r"(sum));
        *ret_sec = bench_now_sec() - start;
        return 0;
}

void bench_print_line(const char *name, double sec, uint64_t n_pages)
{
        printf("  %-24s %8.1f ms  %6.0f ns a page  %5.2f GB/s\n", name, sec * 1e3,
               sec * 1e9 / (double)n_pages, (double)n_pages * MM_PAGE_SIZE / sec / 1e9);
}

static uint64_t number(const char *text, uint64_t max)
{
        char *end;
        uint64_t n;

        errno = 0;
        n = strtoull(text, &end, 10);
        if (errno != 0 || *end != '\0' || n == 0 || n > max) {
                fprintf(stderr, "Not a number from 1 to %" PRIu64 ": %s\n", max, text);
                exit(2);
        }
        return n;
}

void bench_parse_options(int argc, char *argv[], struct bench_options *ret)
{
        static const struct option options[] = {
                { "json", no_argument, NULL, 'j' },
                { "mib", required_argument, NULL, 'm' },
                { "rounds", required_argument, NULL, 'r' },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'j':
                        ret->json = true;
                        break;
                case 'm':
                        ret->mib = number(optarg, UINT64_C(1) << 20);
                        break;
                case 'r':
                        ret->n_rounds = (unsigned)number(optarg, BENCH_ROUNDS_MAX);
                        break;
                default:
                        exit(2);
                }
}
