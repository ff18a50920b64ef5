// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames that lost their last user: given back in time, and at once when memory is short.
 */
#include <linux/jiffies.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "frames.h"
#include "sweep.h"

/* A tenth of the frames every second: unused ones are gone within ten. */
#define SWEEP_INTERVAL HZ
#define SWEEP_SHARE 10

static void sweep(struct work_struct *work);
static DECLARE_DELAYED_WORK(sweep_work, sweep);
static struct shrinker *shrinker;

static void sweep(struct work_struct *work)
{
	unsigned long n = frames_count();

	if (n)
		frames_sweep(n / SWEEP_SHARE + 1, true);
	queue_delayed_work(system_freezable_power_efficient_wq, &sweep_work, SWEEP_INTERVAL);
}

/* Which of them are unused nobody knows before looking. */
static unsigned long count_frames(struct shrinker *which, struct shrink_control *control)
{
	return frames_count() ?: SHRINK_EMPTY;
}

static unsigned long shrink_frames(struct shrinker *which, struct shrink_control *control)
{
	return frames_sweep(control->nr_to_scan, false);
}

/**
 * sweep_init() - start to look
 *
 * Return: 0 or a negative errno.
 */
int sweep_init(void)
{
	int r = compat_shrinker_register(&shrinker, count_frames, shrink_frames);

	if (r)
		return r;
	queue_delayed_work(system_freezable_power_efficient_wq, &sweep_work, SWEEP_INTERVAL);
	return 0;
}

/**
 * sweep_exit() - stop looking
 */
void sweep_exit(void)
{
	compat_shrinker_unregister(shrinker);
	cancel_delayed_work_sync(&sweep_work);
}
