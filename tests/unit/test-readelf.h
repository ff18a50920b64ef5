/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "lib/elf.h"

/* What readelf(1) says of a file: what our own reader is held against. */

/* The program headers in the output of `readelf -lW`; of @path, if the output is of several files. */
void readelf_parse(const char *text, const char *path, struct mm_elf *ret);
/* Runs it. */
void readelf_run(const char *path, struct mm_elf *ret);

void assert_elf_equal(const struct mm_elf *a, const struct mm_elf *b);
