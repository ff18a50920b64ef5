/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "lib/group.h"
#include "lib/hash.h"
#include "lib/scan.h"

/* Processes whose memory is known page by page, and scans of them. */

#define PAGE MM_PAGE_SIZE
#define SEED UINT64_C(0x5eed)
#define DOMAIN 7U

/* /proc, for as long as the tests run. */
extern int scan_proc_fd;

/* A child with memory at the same addresses as ours. */
struct scan_child {
        pid_t pid;
        int dir_fd;
        int command_fd, answer_fd;
};

typedef void (*scan_child_func_t)(uint8_t *memory);

struct scan_fixture {
        struct mm_records *records;
        struct mm_scan scan;
};

/* Runs @func on its own copy of @memory, says so, and runs @then once it is told to. */
struct scan_child scan_child_start(uint8_t *memory, scan_child_func_t func, scan_child_func_t then);

/* Lets it run @then. Returns false if that was its end. */
bool scan_child_go_on(struct scan_child *c);
void scan_child_stop(struct scan_child *c);

uint8_t *map_pages(uint64_t n, int flags);

/* A page that is like no other, for each @number but 0. */
void fill(uint8_t *page, uint64_t number);

uint64_t key_of(uint64_t number, uint64_t owner);

/* Whether the kernel tells us frames. */
bool frames_known(void);

void scan_fixture_start(struct scan_fixture *f, uint64_t max_bytes);
void scan_fixture_done(struct scan_fixture *f);

int scan_target(struct scan_fixture *f, struct mm_scan_target *t, uint64_t owner, const uint8_t *memory,
                uint64_t n);
int scan_pages(struct scan_fixture *f, int dir_fd, uint32_t index, uint64_t owner, const uint8_t *memory,
               uint64_t n);
