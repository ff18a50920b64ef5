/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"
#include "pages.h"
#include "peer.h"

/* Pages that peers hold, all at one address: HELD_ADDRESS. */
#define HELD_ADDRESS 0x200000000000UL
#define HELD 192

/* For peer_call(). The argument is the seed of pages_fill(). */
long held_fill(long seed);
long held_wrong(long seed);
/* Forks; the child looks at the pages and ends. How many were wrong. */
long held_wrong_in_child(long seed);
/* The argument is the number of a page. */
long held_write(long page);

/* Peers with equal pages, as active targets of a session. */
struct herd {
        int fd;
        size_t n;
        struct peer peers[8];
        uint32_t targets[8];
};

struct herd herd_start(size_t n, long seed);
struct herd herd_start_as(size_t n, long seed, uid_t uid);
/* Merges all of the peers' pages, the same page of all in one group. Pages merged. */
size_t herd_merge(const struct herd *herd, struct mergemod_merge *merge);
/* Pages that are wrong in any of them. */
size_t herd_wrong(const struct herd *herd, long seed);
void herd_end(struct herd *herd);

/* Merges one page. Its status. */
int held_merge_one(int fd, uint32_t target, uintptr_t address, struct mergemod_merge merge);

/* Shared frames go back to 0 in time. */
void frames_gone(int fd);
