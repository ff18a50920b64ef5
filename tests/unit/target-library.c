/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

/* A library with memory of each kind, to be loaded by target.c. */

extern char target_data[TARGET_DATA_BYTES];
extern char target_bss[TARGET_BSS_BYTES];
extern void *const target_relro[TARGET_RELRO_POINTERS];

char target_data[TARGET_DATA_BYTES] = { 1 };
char target_bss[TARGET_BSS_BYTES];
/* Needs a relocation each, so that it cannot be in .rodata. */
void *const target_relro[TARGET_RELRO_POINTERS] = { target_data, [TARGET_RELRO_POINTERS - 1] = target_bss };
