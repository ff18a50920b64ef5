/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "run/refusal.h"

/* What will run in the end if a command is executed: of a script its interpreter. */

/* As many scripts in a row as the kernel follows. */
#define PROGRAM_SCRIPTS_MAX 4U

/* How many words program_insert() takes. */
#define PROGRAM_INSERT_MAX 2U

/* Instructions of the first code to run in the program, its own or that of its loader, that it can be led
 * through: how far they are from the first instruction of all, in bytes. */
struct program_code {
        int64_t call;     /* syscall; ret */
        int64_t restorer; /* the way to rt_sigreturn(2); 0: there is none */
};

struct program {
        char *path;  /* to execute; owned */
        char **argv; /* the array is owned, its words belong to the command line or to @words */
        char *words[2 * PROGRAM_SCRIPTS_MAX + PROGRAM_INSERT_MAX];
        size_t n_words;
        char *runs; /* the ELF file that this leads to; owned */
        struct program_code code;
};
void program_done(struct program *p);

/* Finds the program @argv[0], in $PATH if its name has no slash. 0; -errno as execvp(3) has it: -ENOENT,
 * -EACCES. *@ret wants program_done() in any case. */
int program_find(char **argv, struct program *ret);

/* Follows a script to its interpreter, through env(1) too, in which case path and argv become those
 * of the interpreter. Looks whether that is a program that can be started with a layout. 0 or -errno
 * and *@f. */
int program_examine(struct program *p, struct refusal *f);

/* Gives it @words before its other arguments, and takes over what they point to. 0; -E2BIG, -ENOMEM: all is
 * as it was. */
int program_insert(struct program *p, char *const *words, size_t n_words);
