/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "harness.h"

/* mergemem, the program that does without the service. */

/* Gives the daemons that the test starts, and mergemem, the directory /run/mergemem, where nobody outside
 * the test sees it. Before the first daemon. */
void alone_set_up(struct harness *h);

/* Starts it with @args, words apart by blanks, and then @pids, and the configuration of the harness; both
 * outputs go to @out, if that is not 0. */
pid_t alone_spawn(struct harness *h, const char *args, const pid_t *pids, size_t n, int out);
/* Runs it to the end: its exit status, and *@ret (g_free), which may be NULL, what it said. */
int alone_run(struct harness *h, char **ret, const char *args, const pid_t *pids, size_t n);

/* The number behind "@line:", or behind "@word: " in that line; fails if it is not there. */
uint64_t alone_figure(const char *text, const char *line, const char *word);
