/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"
#include "daemon/process-list.h"
#include "daemon/resolve.h"
#include "daemon/selector.h"

/* Answers to the methods that list, made while jobs go on: one pass over all processes, of which those
 * that are meant make rows, or count in one. */

/* Answers stay well below the 128 MiB that D-Bus allows. */
#define LISTING_ROWS_MAX 65536U

enum listing_kind { LISTING_PROCESSES, LISTING_LIBRARIES, LISTING_OWNERS, LISTING_CGROUPS };

/* A process whose libraries are still to be asked for, or what is known of its owners. */
struct listing_waiting {
        pid_t pid;
        uint64_t start_ticks;
        int dir_fd;
        struct mm_file_id exe_id;
};

struct listing {
        Manager *manager;
        sd_bus_message *call, *reply;
        enum listing_kind kind;
        struct selector selector;
        struct resolve resolve;
        struct process_list *list;
        uint64_t pass;                /* of the books */
        struct account_figures total; /* in the books, when it began */
        size_t n_processes;
        struct listing_waiting *waiting;
        size_t n_waiting, next;
        struct listing_library *rows;
        size_t n_rows;
        struct listing_sum *sums;
        size_t n_sums;
};

/* Takes over @s. The call @m is answered later. 0, -ENOBUFS if too many are under way, -errno. */
int listing_new(Manager *manager, enum listing_kind kind, struct selector *s, sd_bus_message *m);
struct listing *listing_free(struct listing *l);

/* The end: the reply is whole, or there is none. */
void listing_answer(struct listing *l);
void listing_fail(struct listing *l, int error);

/* listing-libraries.c: asks the waiting processes, and answers. */
void listing_libraries(struct listing *l);
void listing_libraries_done(struct listing *l);

/* listing-sums.c: adds a process to its cgroup; in the end, answers. */
int listing_cgroups_add(struct listing *l, const struct mm_process *p, const char *unit);
void listing_cgroups(struct listing *l);
void listing_cgroups_done(struct listing *l);
/* Sums, in the books, over the waiting processes, and the answer that they are. */
void listing_sum_owners(struct listing *l);
void listing_owners(struct listing *l);
