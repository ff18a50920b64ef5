/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Tests of one program. Each runs in a process of its own, with a process group of its own, of which
 * nothing is left afterwards. */
struct test_case {
        const char *name;
        void (*run)(void);
};

/* Runs those whose names contain one of the arguments, or all. The exit status of the program. */
int cases_run(int argc, char **argv, const struct test_case *cases, size_t n_cases);

#define CASES_RUN(argc, argv, cases) cases_run(argc, argv, cases, sizeof(cases) / sizeof((cases)[0]))

/* Ends the test as failed. */
void fail_at(const char *file, int line, const char *format, ...)
        __attribute__((format(printf, 3, 4), noreturn));

#define fail(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define check(condition)                                  \
        do {                                              \
                if (!(condition))                         \
                        fail("%s does not hold", #condition); \
        } while (0)
#define check_equal(a, b)                                                                \
        do {                                                                             \
                long long _a = (long long)(a), _b = (long long)(b);                      \
                if (_a != _b)                                                            \
                        fail("%s is %lld, and %s is %lld", #a, _a, #b, _b);              \
        } while (0)
#define check_at_least(a, b)                                                             \
        do {                                                                             \
                long long _a = (long long)(a), _b = (long long)(b);                      \
                if (_a < _b)                                                             \
                        fail("%s is %lld, less than %s, %lld", #a, _a, #b, _b);          \
        } while (0)
