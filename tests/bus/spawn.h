/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Processes that a test starts. All are known by pid, die with the test and are waited for. */

/* "nobody" and "daemon": unprivileged users that every system knows; the bus turns unknown ones away. */
#define UID_FIRST 65534U
#define UID_SECOND 1U

struct spawn {
        const char *const *argv;        /* argv[0] is the path */
        const char *const *environment; /* "NAME=value" on top of ours; NULL: none */
        uid_t uid;                      /* 0: stays root */
        int in, out, err;               /* 0: inherited; for in: /dev/null */
        int death_signal;               /* when the test dies; 0: SIGKILL */
        bool fixed_layout;              /* no address randomisation */
};

pid_t spawn(const struct spawn *s);

/* The wait status of our child; the test fails if it has not ended after @timeout_msec. */
int spawn_wait(pid_t pid, unsigned timeout_msec);
/* Whether it ended within @timeout_msec, and its status then. */
bool spawn_wait_maybe(pid_t pid, unsigned timeout_msec, int *ret_status);
/* Kills and waits. Takes 0 gladly. */
void spawn_kill(pid_t pid);

/* Runs to the end; *@ret_out (g_free) is what it wrote to both outputs. Returns the wait status. */
int spawn_run(const struct spawn *s, unsigned timeout_msec, char **ret_out);

uint64_t now_usec(void);
void sleep_msec(unsigned msec);

/* Runs of the tests that repeat: @few in a quick check, $MERGEMEM_TEST_ROUNDS if that is set. */
unsigned test_rounds(unsigned few);
