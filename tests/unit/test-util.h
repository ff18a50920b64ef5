/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/types.h>

/* What the tests share: small trees of files, and child processes to look at. */

/* A new directory, removed with all that is in it by tree_free(). */
char *tree_new(void);
void tree_free(char *tree);
/* Writes @text to @tree/@path and makes the directories above it. */
void tree_write(const char *tree, const char *path, const char *text);
void tree_link(const char *tree, const char *path, const char *target);
int tree_open(const char *tree);

/* Forks; the child runs @setup and then waits to be killed. Returns when @setup is done. The child
 * does not outlive the test program. */
pid_t child_start(void (*setup)(void *userdata), void *userdata);
void child_kill(pid_t pid);
/* Kills it, but leaves it a zombie. */
void child_make_zombie(pid_t pid);

/* @program, which is tests/unit/target or a copy of it, run with arguments up to NULL: @pid, and what
 * it prints up to the line "ready". It waits for the end of its input. */
struct target {
        pid_t pid;
        int input;
        char *output;
};
void target_start(struct target *t, const char *program, const char *const *arguments);
void target_stop(struct target *t);
/* The number, to base 16, behind "@key " at the start of a line of the output. */
uint64_t target_number(const struct target *t, const char *key);

/* A file of tests/unit/data, NUL behind it; g_free(). */
char *data_read(const char *name, size_t *ret_size);
