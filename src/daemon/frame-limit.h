/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How many shared frames mergemod may hold: its parameter max_frames, mergemod(4). */

struct frame_limit {
        uint64_t before; /* what it was before us, if we have changed it */
        bool changed;
};

/* Sets it to @wanted; 0: puts back what was there before. @sys_fd: a directory like /sys. 0; -ENOENT if the
 * module is not loaded; -errno. */
int frame_limit_set(struct frame_limit *l, int sys_fd, uint64_t wanted);
