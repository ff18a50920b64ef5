/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "case.h"

/* A process that merges every page it can of others, as fast as it can. */

/* Where the pages are that a test is about, and as far as it may go. */
#define UNDER_TEST ((char *)0x500000000000UL)
#define UNDER_TEST_SIZE (1UL << 36)

/* Starts it, for this process. It ends with the test. */
void hammer_start(void);
/* Also another process, until it ends. */
void hammer_add(pid_t pid);
/* How many pages under test it merged. */
unsigned long hammer_merged(void);
/* Lets it end, and waits for that. */
void hammer_stop(void);

/* Pages at UNDER_TEST + @offset, without huge pages. */
char *under_test(size_t offset, size_t n);

/* Tests that must come out the same whether it is at work or not. Each case runs twice: without it, then
 * under it, until at least 100 pages under test were merged. */
int hammer_cases_run(int argc, char **argv, const struct test_case *cases, size_t n_cases);

#define HAMMER_CASES_RUN(argc, argv, cases) \
        hammer_cases_run(argc, argv, cases, sizeof(cases) / sizeof((cases)[0]))

/* For the cases: starts it if this is the time for that. */
void hammer_begin(void);
/* Whether another round is wanted. */
bool hammer_round(void);
/* Whether pages may be found merged. */
bool hammer_is_on(void);
