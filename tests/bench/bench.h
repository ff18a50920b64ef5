/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the benchmarks share: options, a process that holds nothing but unique pages, and the least
 * that anybody must do to look at it, which is to read the memory and to hash it. */

#define BENCH_ROUNDS_MAX 101U

struct bench_options {
        uint64_t mib;
        unsigned n_rounds;
        bool json;
};
#define BENCH_OPTIONS_DEFAULT ((struct bench_options){ .mib = 1024, .n_rounds = 7 })
/* --json, --mib=, --rounds=, over what *@ret has; exits with status 2 for others. */
void bench_parse_options(int argc, char *argv[], struct bench_options *ret);

double bench_now_sec(void);
/* Sorts @values. */
double bench_median(double *values, size_t n);

struct bench_target {
        pid_t pid;
        uint64_t start, size;
        int dir_fd;
};
int bench_target_start(uint64_t size, struct bench_target *ret);
void bench_target_stop(struct bench_target *t);

/* Preads of 256 KiB of /proc/PID/mem into @buffer, and XXH3. */
int bench_plain_round(const struct bench_target *t, uint8_t *buffer, double *ret_sec);

void bench_print_line(const char *name, double sec, uint64_t n_pages);
