/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "harness.h"

/* Running target programs: a line says what to do, a line says what came of it (target.h). */
struct child {
        pid_t pid;
        int in, out;
};

struct child *child_start(const struct harness *h, uid_t uid);
/* Ends it at once. Returns NULL. */
struct child *child_end(struct child *c);

/* Says a line, waits for the answer, which must begin with "ok"; returns what follows (g_free). */
char *child_ask(struct child *c, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The same without interest in the answer. */
void child_say(struct child *c, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Only the first half, for what does not answer soon, and the second. */
void child_send(struct child *c, const char *format, ...) G_GNUC_PRINTF(2, 3);
char *child_hear(struct child *c, unsigned timeout_msec);

/* A new area of the target, filled: page i holds stream @seed + i * @step; seed 0: zeros. Returns its
 * number. */
unsigned child_area(struct child *c, size_t pages, uint64_t seed, unsigned step);
uint64_t child_address(struct child *c, unsigned area);
/* All areas and the library, byte by byte, children by fork included. */
void child_verify(struct child *c);

/* Has it fork; the child's pid, once it has come to rest. "child N ..." speaks to it. */
pid_t child_fork(struct child *c);

/* Several of a kind. */
void children_start(const struct harness *h, uid_t uid, struct child **ret, pid_t *ret_pids, size_t n);
void children_end(struct child **c, size_t n);
void children_verify(struct child **c, size_t n);
