/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/answer-text.h"
#include "daemon/manager.h"
#include "daemon/process-list.h"
#include "daemon/resolve.h"
#include "daemon/selector.h"
#include "lib/usage.h"

/* Answers to the methods that list, made while jobs go on: one pass over all processes, of which those
 * that are meant make rows, or count in one. */

/* Processes that can be meant. */
#define LISTING_PROCESSES_MAX 65536U
/* They take up to some 700 bytes without names, so answers stay below what daemon/answer-text.h says. */
#define LISTING_ROWS_MAX 32768U

enum listing_kind {
        LISTING_PROCESSES,
        LISTING_LIBRARIES,
        LISTING_OWNERS,
        LISTING_CGROUPS,
        LISTING_MEMORY,
};

/* What a row of Memory is about. */
enum memory_by {
        MEMORY_BY_PROCESS,
        MEMORY_BY_PROGRAM,
        MEMORY_BY_USER,
        MEMORY_BY_CGROUP,
        MEMORY_BY_LIBRARY,
        MEMORY_BY_MAX_,
        MEMORY_BY_INVALID_ = -1,
};
enum memory_by memory_by_from_string(const char *s);

/* A process whose libraries or memory are still to be asked for, or what is known of its owners. */
struct listing_waiting {
        pid_t pid;
        uint64_t start_ticks;
        int dir_fd;
        struct mm_file_id exe_id;
        size_t row; /* of Memory, that it counts in */
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
        struct answer_text text; /* names in the answer */
        struct listing_waiting *waiting;
        size_t n_waiting, next;
        struct listing_library *rows;
        size_t n_rows;
        struct listing_sum *sums;
        size_t n_sums;
        struct {
                enum memory_by by;
                struct memory_row *rows;
                size_t n_rows;
                uint64_t from;       /* where the next slice of the process begins */
                struct mm_usage now; /* of the process so far */
                bool incomplete;
                bool matched; /* it has memory of the libraries asked for */
        } memory;
};

/* Takes over @s. The call @m is answered later. @by: of LISTING_MEMORY. 0, -ENOBUFS if too many are under
 * way, -errno. */
int listing_new(Manager *manager, enum listing_kind kind, enum memory_by by, struct selector *s,
                sd_bus_message *m);
struct listing *listing_free(struct listing *l);

/* The end: the reply is whole, or there is none. */
void listing_answer(struct listing *l);
void listing_fail(struct listing *l, int error);
/* The same if nothing is what was asked for. */
void listing_fail_none(struct listing *l);

/* One more process that waits. */
int listing_wait(struct listing *l, struct mm_process *p, size_t row);

/* listing-libraries.c: asks the waiting processes, and answers. */
void listing_libraries(struct listing *l);
bool listing_library_is_meant(struct listing *l, const struct mm_file_id *file, const char *path);
/* In the books, of the processes summed up last: NULL if it is not there. */
const struct account_line *listing_find_library(const struct account *a, const struct mm_file_id *file);
void listing_libraries_done(struct listing *l);

/* listing-memory.c: notes a process; asks those that wait, and answers. */
int listing_memory_add(struct listing *l, struct mm_process *p, const char *unit);
void listing_memory(struct listing *l);
void listing_memory_done(struct listing *l);

/* listing-sums.c: adds a process to its cgroup; in the end, answers. */
int listing_cgroups_add(struct listing *l, const struct mm_process *p, const char *unit);
void listing_cgroups(struct listing *l);
void listing_cgroups_done(struct listing *l);
/* Sums, in the books, over the waiting processes, and the answer that they are. */
void listing_sum_owners(struct listing *l);
void listing_owners(struct listing *l);
