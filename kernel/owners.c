// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many shared frames each user has, so that none can use them all up.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "owners.h"

static unsigned int max_user_percent = 75;
module_param(max_user_percent, uint, 0600);
MODULE_PARM_DESC(max_user_percent, "most shared frames of one user, in percent of max_frames");

/* Counts by uid. They change under the lock of the table of frames only. */
static DEFINE_XARRAY(owners);

/**
 * owners_prepare() - make room for a user's count
 * @uid: the user
 * @gfp: how to allocate it
 *
 * Return: 0 or -ENOMEM.
 */
int owners_prepare(kuid_t uid, gfp_t gfp)
{
	unsigned long *count, *old;

	if (xa_load(&owners, __kuid_val(uid)))
		return 0;
	count = kzalloc(sizeof(*count), gfp);
	if (!count)
		return -ENOMEM;
	old = xa_cmpxchg(&owners, __kuid_val(uid), NULL, count, gfp);
	if (old)
		kfree(count);
	return xa_is_err(old) ? -ENOMEM : 0;
}

/**
 * owners_take() - count one more frame
 * @uid: for whom; prepared
 * @frames_max: for all users together
 *
 * Return: 0 or -EDQUOT.
 */
int owners_take(kuid_t uid, unsigned long frames_max)
{
	unsigned long *count = xa_load(&owners, __kuid_val(uid));

	if (*count >= mult_frac(frames_max, min(READ_ONCE(max_user_percent), 100U), 100U))
		return -EDQUOT;
	(*count)++;
	return 0;
}

/**
 * owners_give() - count one frame less
 * @uid: for whom
 */
void owners_give(kuid_t uid)
{
	unsigned long *count = xa_load(&owners, __kuid_val(uid));

	(*count)--;
}

/**
 * owners_exit() - forget all counts
 */
void owners_exit(void)
{
	unsigned long *count;
	unsigned long uid;

	xa_for_each(&owners, uid, count)
		kfree(count);
	xa_destroy(&owners);
}
