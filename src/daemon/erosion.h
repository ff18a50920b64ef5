/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether what a rule merges lasts long enough to be worth its while: mergemem(7), EROSION. Pure.
 *
 * Memory that is saved for a time is gained: bytes times seconds. A merged page that a write breaks has cost
 * a copy, and its share of the CPU time that went into looking and merging; the share of those that are
 * still merged goes on earning. The two are compared at the rate at which machines are built, which is about
 * 8 GiB of memory for each core. */

#define EROSION_BYTES_PER_CORE (8ULL << 30)
/* The write to a shared page, as measured: 3.6 to 4.1 us. */
#define EROSION_COPY_NSEC 4000U
/* Losses below 1 MiB are not worth a verdict. */
#define EROSION_LOST_MIN 256U
/* Older gains and losses count half. */
#define EROSION_HALF_LIFE_USEC (10ULL * 60U * 1000U * 1000U)
/* How long a rule is left alone the first time; twice as long each time that it erodes again. */
#define EROSION_REST_MIN_USEC (10ULL * 60U * 1000U * 1000U)
#define EROSION_REST_MAX_USEC (24ULL * 3600U * 1000U * 1000U)

/* What a rule has merged, as it stands; the sums only grow. */
struct erosion_sample {
        uint64_t merged_pages; /* now */
        uint64_t saved_bytes;  /* now, net */
        uint64_t n_merged;     /* pages, ever */
        uint64_t n_lost;       /* of them, by writes, ever */
        uint64_t cpu_nsec;     /* spent on the rule, ever */
};

struct erosion {
        struct erosion_sample before;
        uint64_t sampled_usec; /* 0: never */
        /* Since the first sample or the last rest, older ones at half. */
        double gained_byte_seconds;
        double n_merged, n_lost, cpu_nsec;
        uint64_t halved_usec;
        uint64_t rest_until_usec; /* when it may merge again */
        uint64_t rest_usec;       /* how long that was; 0: it has paid since */
};

/* What was lost has cost so much. */
double erosion_cost_byte_seconds(const struct erosion *e);

/* Takes a sample. True if what the rule merges erodes faster than it pays: once, then it rests. */
bool erosion_judge(struct erosion *e, uint64_t now_usec, const struct erosion_sample *s);

/* Whether the rule is not to merge now. */
bool erosion_rests(const struct erosion *e, uint64_t now_usec);
