/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_RANGES_H
#define MERGEMOD_RANGES_H

#include "session.h"
#include "target.h"

/**
 * typedef range_work_t - what a call does with one range
 * @use: the target
 * @range: moves on its start, adds up its pages, keeps the first error in its status
 * @flags: of the call
 *
 * Return: 0 when it came to the end; -EINTR if it did not.
 */
typedef int (*range_work_t)(struct target_use *use, struct mergemod_range *range, u32 flags);

int ranges_run(struct session *session, struct mergemod_ranges *call, range_work_t work);

#endif
