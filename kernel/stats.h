/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_STATS_H
#define MERGEMOD_STATS_H

#include <linux/types.h>

#include "uapi/linux/mergemod.h"

struct attribute_group;

/* Named as in struct mergemod_stats, where it says what they count. */
enum counter {
	STAT_MERGED,
	STAT_ZERO_MERGED,
	STAT_FREED,
	STAT_UNMERGED,
	STAT_DIFFERED,
	STAT_REFUSED_AREA,
	STAT_REFUSED_PAGE,
	STAT_REFUSED_HUGE,
	STAT_REFUSED_BUSY,
	STAT_REFUSED_DOMAIN,
	STAT_REFUSED_LIMIT,
	STAT_REFUSED_MEMORY,
	STAT_ABSENT,
	STAT_ALREADY,
	STAT_FRAMES_MADE,
	STAT_FRAMES_GIVEN_BACK,
	STAT_HASHED,
	STAT_MAX,
};

extern const struct attribute_group *stats_groups[];

void stats_add(enum counter counter, unsigned long n);
void stats_add_status(int status);
void stats_lock_held(u64 nsec);
void stats_read(struct mergemod_stats *ret);

#endif
