/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"
#include "pages.h"

/* Two areas of this process with equal pages. */
struct twin {
        int fd;
        uint32_t target;
        char *a, *b;
        size_t n;
        long seed;
};

/* Both filled, not merged yet. */
struct twin twin_make(size_t n, long seed);
/* All pages of both in shared frames. */
struct twin twin_merged(size_t n, long seed);
/* Pages merged of [@address, ...): those of this process. */
size_t twin_merge(const struct twin *twin, const void *address, size_t n);
/* Pages of both that are in one frame. */
size_t twin_shared(const struct twin *twin);
/* Pages that are wrong in @b. */
size_t twin_wrong(const struct twin *twin);
void twin_end(struct twin *twin);
