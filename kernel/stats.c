// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was done, for MERGEMOD_STATS and /sys/class/misc/mergemod/.
 */
#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/ktime.h>
#include <linux/sysfs.h>

#include "frames.h"
#include "stats.h"

static atomic_long_t counters[STAT_MAX];
static atomic64_t lock_nsec_max;

/**
 * stats_add() - count
 * @counter: what
 * @n: how many
 */
void stats_add(enum counter counter, unsigned long n)
{
	if (n)
		atomic_long_add(n, &counters[counter]);
}

/**
 * stats_add_status() - count an element of MERGEMOD_MERGE that was not merged
 * @status: a negative errno
 */
void stats_add_status(int status)
{
	static const struct {
		int status;
		enum counter counter;
	} map[] = {
		{ -ESTALE, STAT_DIFFERED },
		{ -EFAULT, STAT_REFUSED_AREA },
		{ -EOPNOTSUPP, STAT_REFUSED_AREA },
		{ -EMEDIUMTYPE, STAT_REFUSED_PAGE },
		{ -EHWPOISON, STAT_REFUSED_PAGE },
		{ -E2BIG, STAT_REFUSED_HUGE },
		{ -EBUSY, STAT_REFUSED_BUSY },
		{ -EAGAIN, STAT_REFUSED_BUSY },
		{ -EXDEV, STAT_REFUSED_DOMAIN },
		{ -ENOSPC, STAT_REFUSED_LIMIT },
		{ -EDQUOT, STAT_REFUSED_LIMIT },
		{ -ENOMEM, STAT_REFUSED_MEMORY },
		{ -ENODATA, STAT_ABSENT },
		{ -EALREADY, STAT_ALREADY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (map[i].status == status)
			stats_add(map[i].counter, 1);
}

/**
 * stats_lock_held() - note how long a target's memory was locked
 * @nsec: so long
 */
void stats_lock_held(u64 nsec)
{
	s64 old = atomic64_read(&lock_nsec_max);

	while (nsec > old && !atomic64_try_cmpxchg(&lock_nsec_max, &old, nsec))
		;
}

static unsigned long lock_usec_max(void)
{
	return atomic64_read(&lock_nsec_max) / NSEC_PER_USEC;
}

static unsigned long get(enum counter counter)
{
	return atomic_long_read(&counters[counter]);
}

/**
 * stats_read() - all counters
 * @ret: the counters
 */
void stats_read(struct mergemod_stats *ret)
{
	*ret = (struct mergemod_stats){
		.frames = frames_count(),
		.frames_max = frames_max(),
		.mappings = frames_mappings(),
		.merged = get(STAT_MERGED),
		.zero_merged = get(STAT_ZERO_MERGED),
		.freed = get(STAT_FREED),
		.unmerged = get(STAT_UNMERGED),
		.differed = get(STAT_DIFFERED),
		.refused_area = get(STAT_REFUSED_AREA),
		.refused_page = get(STAT_REFUSED_PAGE),
		.refused_huge = get(STAT_REFUSED_HUGE),
		.refused_busy = get(STAT_REFUSED_BUSY),
		.refused_domain = get(STAT_REFUSED_DOMAIN),
		.refused_limit = get(STAT_REFUSED_LIMIT),
		.refused_memory = get(STAT_REFUSED_MEMORY),
		.absent = get(STAT_ABSENT),
		.already = get(STAT_ALREADY),
		.frames_made = get(STAT_FRAMES_MADE),
		.frames_given_back = get(STAT_FRAMES_GIVEN_BACK),
		.hashed = get(STAT_HASHED),
		.lock_usec_max = lock_usec_max(),
	};
}

/* Files for root alone: they tell of other people's memory. */
#define STAT_FILE(name, value)										\
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf)	\
	{												\
		return sysfs_emit(buf, "%lu\n", value);							\
	}												\
	static DEVICE_ATTR_ADMIN_RO(name)

STAT_FILE(frames, frames_count());
STAT_FILE(frames_max, frames_max());
STAT_FILE(mappings, frames_mappings());
STAT_FILE(merged, get(STAT_MERGED));
STAT_FILE(zero_merged, get(STAT_ZERO_MERGED));
STAT_FILE(freed, get(STAT_FREED));
STAT_FILE(unmerged, get(STAT_UNMERGED));
STAT_FILE(differed, get(STAT_DIFFERED));
STAT_FILE(refused_area, get(STAT_REFUSED_AREA));
STAT_FILE(refused_page, get(STAT_REFUSED_PAGE));
STAT_FILE(refused_huge, get(STAT_REFUSED_HUGE));
STAT_FILE(refused_busy, get(STAT_REFUSED_BUSY));
STAT_FILE(refused_domain, get(STAT_REFUSED_DOMAIN));
STAT_FILE(refused_limit, get(STAT_REFUSED_LIMIT));
STAT_FILE(refused_memory, get(STAT_REFUSED_MEMORY));
STAT_FILE(absent, get(STAT_ABSENT));
STAT_FILE(already, get(STAT_ALREADY));
STAT_FILE(frames_made, get(STAT_FRAMES_MADE));
STAT_FILE(frames_given_back, get(STAT_FRAMES_GIVEN_BACK));
STAT_FILE(hashed, get(STAT_HASHED));
STAT_FILE(lock_usec_max, lock_usec_max());

static struct attribute *stats_attrs[] = {
	&dev_attr_frames.attr,
	&dev_attr_frames_max.attr,
	&dev_attr_mappings.attr,
	&dev_attr_merged.attr,
	&dev_attr_zero_merged.attr,
	&dev_attr_freed.attr,
	&dev_attr_unmerged.attr,
	&dev_attr_differed.attr,
	&dev_attr_refused_area.attr,
	&dev_attr_refused_page.attr,
	&dev_attr_refused_huge.attr,
	&dev_attr_refused_busy.attr,
	&dev_attr_refused_domain.attr,
	&dev_attr_refused_limit.attr,
	&dev_attr_refused_memory.attr,
	&dev_attr_absent.attr,
	&dev_attr_already.attr,
	&dev_attr_frames_made.attr,
	&dev_attr_frames_given_back.attr,
	&dev_attr_hashed.attr,
	&dev_attr_lock_usec_max.attr,
	NULL,
};

static const struct attribute_group stats_group = {
	.attrs = stats_attrs,
};

const struct attribute_group *stats_groups[] = {
	&stats_group,
	NULL,
};
