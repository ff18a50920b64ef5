/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/maps.h"

/* Instructions of the target's own that its thread is led through; nothing is ever written to code. */

struct mm_inject_code {
        uint64_t call;     /* syscall; ret */
        uint64_t restorer; /* mov $15, %rax; syscall: rt_sigreturn, where signal handlers return to */
};

/* Notes the first of each in @size bytes of code at @address, unless one is known already. */
void mm_inject_code_scan(const uint8_t *text, size_t size, uint64_t address, struct mm_inject_code *c);

/* Looks through the code that @areas map from files, the C library's first. 0, -ENOENT. */
int mm_inject_code_find(int mem_fd, const struct mm_areas *areas, struct mm_inject_code *ret);

/* Whether they still stand where they were found. */
bool mm_inject_code_stands(int mem_fd, const struct mm_inject_code *c);
