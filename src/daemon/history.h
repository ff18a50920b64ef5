/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What was saved over time. A ring of samples, the older ones coarser once there are many, and a file of
 * them that outlives the service. */

/* A week of a sample a minute; more is made coarser. Some 1 MiB here and in the file. */
#define HISTORY_MAX 10240U

struct history_sample {
        uint64_t usec;      /* realtime, at the end of */
        uint64_t span_usec; /* that it stands for */
        /* As it was then. */
        uint64_t saved_bytes, saved_gross_bytes, shared_frames, merged_pages;
        /* What was done in the span. */
        uint64_t n_scanned, n_merged, n_written, cpu_nsec;
};

struct history {
        struct history_sample *samples; /* the oldest first */
        size_t n, allocated;
        int dir_fd;       /* of the file; negative: there is none; owned */
        uint64_t n_lines; /* in the file */
};

void history_done(struct history *h);

/* Adds a sample and forgets those that end more than @keep_usec before it. 0 or -ENOMEM. */
int history_add(struct history *h, const struct history_sample *s, uint64_t keep_usec);

/* Those that end in [@from_usec, @to_usec], neighbours put together so that there are at most @max; @max 0:
 * as they are. 0 and a new array, or -ENOMEM. */
int history_select(const struct history *h, uint64_t from_usec, uint64_t to_usec, size_t max,
                   struct history_sample **ret, size_t *ret_n);

/* history-file.c */

#define HISTORY_FILE "history"
#define HISTORY_FILE_DAMAGED "history.damaged"

/* Takes over @dir_fd and reads the file there. 0; -EBADMSG if it was damaged and is set aside: what came
 * before the damage is kept. A last line that a crash cut off is not damage. */
int history_load(struct history *h, int dir_fd, uint64_t keep_usec);
/* Adds to the file what was added last, or writes it anew once much of it is forgotten. */
int history_save(struct history *h);
