/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/device.h"

/* Merges groups of pages through mergemod, in calls of bounded length: whole groups, unless one is larger
 * than that. Pages that are not ready get a second try at the end. */

/* Elements for one call: a fraction of a second, so that whoever waits can hear of it. */
#define MM_MERGER_ELEMENTS 2048U

struct mm_merger;

struct mm_merger_events {
        /* After each call: pages with their statuses, those of one target together, without those that are
         * tried again. Negative ends it all and is returned. */
        int (*merged)(void *userdata, const struct mergemod_element *elements, size_t n,
                      const struct mergemod_merge *sum);
        /* Before that: a target whose memory is gone. Its number is detached. */
        void (*gone)(void *userdata, uint32_t target);
};

/* @device and @domain->cgroup_fd are borrowed. 0 or -ENOMEM. */
int mm_merger_new(struct mm_device *device, const struct mm_device_domain *domain, enum mergemod_huge huge,
                  const struct mm_merger_events *events, void *userdata, struct mm_merger **ret);
struct mm_merger *mm_merger_free(struct mm_merger *m);
DEFINE_CLEANUP_FUNC(struct mm_merger *, mm_merger_free)

/* What is added from now on is one group, of at most @n pages. */
int mm_merger_begin_group(struct mm_merger *m, size_t n);
int mm_merger_add(struct mm_merger *m, uint32_t target, uint64_t address);

/* Merges what was added since the last call, and what was not ready. */
int mm_merger_finish(struct mm_merger *m);
