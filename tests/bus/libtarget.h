/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#define LIBTARGET_DATA_PAGES 24U
#define LIBTARGET_BSS_PAGES 40U
#define LIBTARGET_RELRO_PAGES 4U

extern const unsigned char *const libtarget_table[];

/* Writes all of .data and .bss: equal bytes for equal seeds, no two pages alike. */
void libtarget_fill(uint64_t seed);
/* -1 if all is as libtarget_fill() left it, else where it is not. */
long libtarget_check(uint64_t seed);
