/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/inject-code.h"

/* What the bytes of an executable file say. Pure. */

/* Of the first line of a script the kernel reads so much: BINPRM_BUF_SIZE. */
#define PROGRAM_LINE_MAX 256U

/* Takes the first line of a script apart as execve(2) does: 1, *@ret_interpreter, and *@ret_argument
 * or NULL, both in @text, which is written to; 0 if it is no script; -ENOEXEC if it names no interpreter
 * or not all of its name is there. @size: of what was read, up to PROGRAM_LINE_MAX; there is room for a NUL
 * behind. */
int program_parse_script(char *text, size_t size, char **ret_interpreter, char **ret_argument);

struct program_elf {
        const char *interpreter; /* in the file; NULL: none */
        uint64_t entry;          /* address as linked, as those below */
        /* Only sought where there is no interpreter; 0: there is none. */
        struct mm_inject_code code;
};

/* @data: the whole file. 0; -ENOEXEC: no ELF file that can be executed; -EINVAL, -E2BIG: its headers are
 * damaged; -EAFNOSUPPORT: not for x86-64. */
int program_parse_elf(const void *data, size_t size, struct program_elf *ret);
