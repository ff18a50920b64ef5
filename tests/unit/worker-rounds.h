/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/mergemod.h>

#include "worker-calls.h"

/* Rounds of a real worker over children whose pages are known. */

#define ROUNDS_PAGE 4096U
#define ROUNDS_BYTES (64U * 1024 * 1024)
#define ROUNDS_BOOKKEEPING (64ULL * 1024 * 1024)

/* Where each child has its pages; reserved by all, used by none but them. */
extern char *rounds_place;

struct rounds {
        struct worker_calls calls;
        uint32_t n_scanned; /* targets in this round */
};

/* As fixtures of g_test_add(). */
void rounds_set_up(struct rounds *f, const void *data);
void rounds_tear_down(struct rounds *f, const void *data);

/* For children: everything they have so far is marked as private, so that rounds look at the rest only. */
void hide_memory(void);
/* Memory at that page of the place; NULL if there is none. */
char *map_pages(size_t from, size_t n);
/* A letter is a page of it, "0" one that zeros were written to, "." one that was never touched. */
void fill_pages(char *pages, const char *letters);
/* All of that, for child_start(). */
void have_pages(void *letters);
pid_t child_with(const char *letters);

void begin_round_with(struct rounds *f, const struct worker_begin *begin);
void begin_round(struct rounds *f);
/* A call about a process, whose directory it returns. */
int packet_target(struct rounds *f, uint32_t type, pid_t pid, uint32_t domain, union worker_packet *ret);
struct worker_scanned scan_process(struct rounds *f, pid_t pid, uint32_t domain);
void group_pages(struct rounds *f, struct outcome *o);
/* All in anonymous memory. */
void check_total(const struct outcome *o, uint64_t n_duplicates, uint64_t n_zero);
