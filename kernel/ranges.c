// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arrays of ranges, which MERGEMOD_UNMERGE and MERGEMOD_ADVISE take.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "ranges.h"

static int range_run(struct session *session, struct mergemod_range *range, u32 flags, range_work_t work)
{
	struct target_use use;
	int r;

	range->status = 0;
	range->pages = 0;
	if (range->start >= range->end || range->end > TASK_SIZE_MAX ||
	    !PAGE_ALIGNED(range->start | range->end)) {
		range->status = -EINVAL;
		return 0;
	}
	r = target_enter(&session->targets, range->target, NULL, &use);
	if (r == -EINTR)
		return r;
	if (r) {
		range->status = r;
		return 0;
	}
	r = work(&use, range, flags);
	target_leave(&use);
	return r;
}

/**
 * ranges_run() - go through an array
 * @session: whose call
 * @call: its argument
 * @work: what to do with each range
 *
 * Return: 0 or a negative errno, see the interface.
 */
int ranges_run(struct session *session, struct mergemod_ranges *call, range_work_t work)
{
	struct mergemod_range __user *user = u64_to_user_ptr(call->ranges);
	bool progress = false;
	int r = 0;

	if (!call->n_ranges || call->n_ranges > MERGEMOD_ELEMENTS_MAX || call->reserved)
		return -EINVAL;
	for (call->done = 0; call->done < call->n_ranges && !r;) {
		struct mergemod_range range;
		u64 start;

		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}
		if (copy_from_user(&range, &user[call->done], sizeof(range)))
			return -EFAULT;
		start = range.start;
		r = range_run(session, &range, call->flags, work);
		if (r && range.start == start)
			break;
		progress = true;
		if (copy_to_user(&user[call->done], &range, sizeof(range)))
			return -EFAULT;
		call->done += !r;
		cond_resched();
	}
	return progress ? 0 : r;
}
