/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"

/* Starts mergemem-run, or a program without it, and looks at what comes of that. */

#define RUN "/run/bin/mergemem-run"
/* What it has Node.js load, as it finds it, and as that is called. */
#define RUN_MODULE_UNRESOLVED "/run/bin/" MERGEMEM_RUN_DATA "/math-random.cjs"
#define RUN_MODULE "/run/lib/mergemem/math-random.cjs"
#define PROBE "/run/bin/probe"
#define PROBE_STATIC "/run/bin/probe-static"
#define PROBE_ASAN "/run/bin/probe-asan"
#define ENTRY "/run/bin/entry"
#define ENTRY_RETURN "/run/bin/entry-return"

/* "nobody", whom every system knows. */
#define UID_NOBODY 65534U

struct start {
        const char *const *options; /* of mergemem-run; NULL: none of it, the program itself */
        const char *const *argv;    /* of the program */
        uid_t uid;                  /* 0: root */
        /* In the process, as that user, before anything is executed; may be NULL. */
        void (*setup)(void *userdata);
        void *userdata;
        const char *input; /* what it reads; NULL: nothing */
};
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NO_OPTIONS ((const char *const[]){ NULL })

struct outcome {
        int status; /* as wait(2) has it */
        char *out, *err;
        size_t out_size;
        pid_t pid;
};
void outcome_done(struct outcome *o);
typedef struct outcome Outcome;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_done)

/* Covers /run, makes a PID namespace, sets the limit of the stack. To be called first in main(). */
void start_init(int *argc, char ***argv);
/* For the end of main(): whether all is over that was begun. */
int start_end(int status);

/* To its end, which has to come within a minute. */
Outcome start_run(const struct start *s);
/* Without waiting: its pid, and the pipe from its standard output and to its input. */
pid_t start_spawn(const struct start *s, int *ret_in, int *ret_out);

/* The value of @key in what the probe reports; the test fails if there is none. Valid until the next
 * call. */
const char *report_text(const char *report, const char *key);
uint64_t report_number(const char *report, const char *key);

/* Ended by itself with this status. */
void assert_exited(const Outcome *o, int status);
/* Status 125, and one line on standard error that has @why in it. */
void assert_refused(const Outcome *o, const char *why);

/* How many processes there are besides this one; zombies too. */
unsigned count_others(void);
/* Until there are none. */
void wait_alone(void);

uint64_t now_usec(void);
unsigned test_rounds(unsigned few);
