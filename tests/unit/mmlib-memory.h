/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "lib/mmlib.h"
#include "test-util.h"

/* Processes whose memory is known page by page, for tests of the public library. */

#define PAGE 4096U
#define HUGE (512U * PAGE)

/* Private memory of @n pages, to be filled in a child, without huge pages; PROT_NONE around it. */
uint8_t *memory_map(size_t n);
/* The same with huge pages, as many of them as @n. */
uint8_t *memory_map_huge(size_t n);
void memory_unmap(uint8_t *memory, size_t size);

/* Page @i of @memory, of those that memory_fill() makes: unlike all others with another number. */
void memory_fill(uint8_t *memory, size_t i, uint64_t number);

/* What pagemap says: the frame, 0 if there is none. */
uint64_t memory_frame(pid_t pid, const void *address);
/* How often that is mapped. */
uint64_t memory_count(pid_t pid, const void *address);

/* Page infos of @size bytes at @memory: how many, at most @n. */
size_t memory_infos(pid_t pid, const uint8_t *memory, size_t size, MPAGEINFO *infos, size_t n);

/* A child that has changed to the user nobody, and one that runs @func as nobody and exits with what it
 * returns. */
pid_t child_start_as_nobody(void);
int run_as_nobody(int (*func)(void));
