/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <signal.h>

#include "lib/inject.h"

/* Children of the test to inject into, and the calls that they wait in. */

#define TARGET_PAGE UINT64_C(4096)
#define TARGET_PAGES 64U
#define TARGET_NOTHING INT64_MIN /* no result of any call */

struct target_shared {
        int ready;
        int stop;
        int broken;            /* an injector may have been killed: expected_broken will do */
        uint64_t rounds;       /* calls that have returned, or times around */
        int64_t begin_usec;    /* when the call began that is under way */
        int64_t last_usec;     /* how long the one before took */
        uint64_t n_signals[65];
        uint32_t futex;
        char failure[256];     /* what the target found to be wrong; "": nothing */
};

struct target {
        pid_t pid;
        struct mm_process process;
        struct target_shared *shared;
        uint8_t *pages; /* private, filled, the same address here and there */
        int wake[2];    /* a socket pair: wake[0] is the test's end */
        const void *data;
};

/* Forks a child that runs @body. Returns when it has said target_ready(). */
void target_start(struct target *t, void (*body)(struct target *t), const void *data);
/* Waits for it to end by itself. Returns its wait status. */
int target_wait(struct target *t);
/* Kills it if it has not been waited for, and frees all. */
void target_end(struct target *t);

/* For the child. */
void target_ready(struct target *t);
void target_fail(struct target *t, const char *format, ...) G_GNUC_PRINTF(2, 3) G_GNUC_NORETURN;
/* Counts signals in shared->n_signals. */
void target_handle(int signal, int flags);

/* For the test. */
char target_state(const struct target *t);
int64_t target_call(const struct target *t); /* the system call it sleeps in, -1 if in none */
uint64_t target_stack_pointer(const struct target *t); /* of one that sleeps */
void target_wait_for_call(const struct target *t, int64_t nr);
void target_wait_for_rounds(const struct target *t, uint64_t rounds);
void target_expect_well(const struct target *t);
/* Which pages smaps says are registered with KSM, one bit each. */
uint64_t target_registered(const struct target *t);

/* Advice for pages [@from, @to) of the target. */
enum mm_inject_result target_advise(const struct target *t, int advice, unsigned from, unsigned to);
#define target_assert_result(result, expected) \
        g_assert_cmpstr(mm_inject_result_name(result), ==, mm_inject_result_name(expected))
#define target_assert_advise(t, advice, from, to, expected) \
        target_assert_result(target_advise(t, advice, from, to), expected)
/* Registers some pages and takes it back, and looks at smaps for both. */
void target_advise_and_check(const struct target *t);

/* A system call to wait in. */
struct wait_case {
        const char *name;
        int64_t nr;
        int64_t (*call)(struct target *t);
        void (*wake)(struct target *t); /* NULL: ends by itself after @usec */
        int64_t expected;
        /* What else the death of an injector may make of it, or TARGET_NOTHING: of some calls all that
         * a mere stop makes of them, and those with a timeout are not remembered by rt_sigreturn(2). */
        int64_t expected_broken;
        int64_t usec;
        bool longer;   /* has a timeout that an interruption lets begin anew */
        bool restarts; /* goes on after a handler with SA_RESTART */
};
extern const struct wait_case wait_cases[];
extern const size_t n_wait_cases;

void target_pause_body(struct target *t);
/* Makes the call of the wait_case in @data over and over. */
void target_wait_body(struct target *t);
/* spin_check() over and over; @data: NULL or an enum spin_tiles. */
void target_spin_body(struct target *t);
