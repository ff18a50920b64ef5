/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What processes hold in memory, counted from pagemap by code that shares nothing with the
 * library: the measure for what the service says. */

struct frames_page {
        uint64_t address;
        uint64_t word; /* of pagemap */
};

struct frames {
        struct frames_page *pages; /* private pages in RAM, ascending, without stacks and the zero page */
        size_t n;
};

/* Between two addresses; 0, UINT64_MAX: everywhere. */
struct frames frames_read(pid_t pid, uint64_t start, uint64_t end);
void frames_done(struct frames *f);
/* Whether nothing was moved, shared or un-shared. */
bool frames_equal(const struct frames *a, const struct frames *b);

/* Distinct frames under the private memory of all @pids. */
size_t frames_distinct(const pid_t *pids, size_t n);
/* Frames that would be free if all equal pages of @pids shared as few as KSM can do with; frames
 * that somebody else maps too stay. */
size_t frames_duplicates(const pid_t *pids, size_t n);

/* Areas with "mg" in smaps, neighbours joined. */
struct frames_range {
        uint64_t start, end;
};
size_t frames_registered(pid_t pid, struct frames_range *ret, size_t n);

bool frames_is_registered(pid_t pid);
/* Fails the test, saying where, if anything of @pid is registered. */
void frames_assert_unregistered(pid_t pid);
