// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions: open files, and the way from an ioctl to its function.
 */
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "freeze.h"
#include "frames.h"
#include "session.h"
#include "stats.h"
#include "target.h"

#define FEATURES (MERGEMOD_FEATURE_ZERO | MERGEMOD_FEATURE_CONTENT | MERGEMOD_FEATURE_SCAN |		\
		  MERGEMOD_FEATURE_UNMERGE | MERGEMOD_FEATURE_SAMPLE |					\
		  MERGEMOD_FEATURE_HASHES |								\
		  (IS_ENABLED(CONFIG_KSM) ? MERGEMOD_FEATURE_ADVISE : 0) |				\
		  (IS_ENABLED(CONFIG_CGROUPS) ? MERGEMOD_FEATURE_CGROUP : 0) |				\
		  (IS_ENABLED(CONFIG_MEMCG) ? MERGEMOD_FEATURE_ACCOUNT : 0))

static int session_open(struct inode *inode, struct file *file)
{
	struct session *session;

	if (!capable(CAP_SYS_ADMIN) || !capable(CAP_SYS_PTRACE))
		return -EPERM;
	session = kzalloc(sizeof(*session), GFP_KERNEL);
	if (!session)
		return -ENOMEM;
	mutex_init(&session->lock);
	xa_init_flags(&session->targets, XA_FLAGS_ALLOC1);
	session->secret = get_random_u64();
	session->batch_pages = FREEZE_MAX;
	file->private_data = session;
	return 0;
}

static int session_release(struct inode *inode, struct file *file)
{
	struct session *session = file->private_data;

	target_detach_all(&session->targets);
	kfree(session);
	return 0;
}

static int info_call(struct session *session, struct mergemod_info *info)
{
	bool fits = info->version == MERGEMOD_VERSION && !(info->features & ~FEATURES);

	if (info->flags || memchr_inv(info->reserved, 0, sizeof(info->reserved)))
		return -EINVAL;
	info->version = MERGEMOD_VERSION;
	info->features = FEATURES;
	info->page_size = PAGE_SIZE;
	info->elements_max = MERGEMOD_ELEMENTS_MAX;
	info->frames_max = frames_max();
	info->frames = frames_count();
	if (!fits)
		return -EPROTO;
	session->greeted = true;
	return 0;
}

static int stats_call(struct mergemod_stats *stats)
{
	stats_read(stats);
	return 0;
}

static int target_call(struct session *session, unsigned int cmd, const struct mergemod_target *target)
{
	if (target->flags)
		return -EINVAL;
	if (cmd == MERGEMOD_ACTIVATE)
		return target_activate(&session->targets, target->target);
	return target_detach(&session->targets, target->target);
}

/**
 * union argument - room for what any call takes
 * @info: MERGEMOD_INFO
 * @attach: MERGEMOD_ATTACH
 * @target: MERGEMOD_ACTIVATE, MERGEMOD_DETACH
 * @scan: MERGEMOD_PAGES, MERGEMOD_HASH, MERGEMOD_SCAN
 * @merge: MERGEMOD_MERGE
 * @ranges: MERGEMOD_UNMERGE, MERGEMOD_ADVISE
 * @stats: MERGEMOD_STATS
 */
union argument {
	struct mergemod_info info;
	struct mergemod_attach attach;
	struct mergemod_target target;
	struct mergemod_scan scan;
	struct mergemod_merge merge;
	struct mergemod_ranges ranges;
	struct mergemod_stats stats;
};

static int dispatch(struct session *session, unsigned int cmd, union argument *argument)
{
	if (cmd == MERGEMOD_INFO)
		return info_call(session, &argument->info);
	if (!session->greeted)
		return -EPROTO;

	switch (cmd) {
	case MERGEMOD_ATTACH:
		return target_attach(&session->targets, &argument->attach);
	case MERGEMOD_ACTIVATE:
	case MERGEMOD_DETACH:
		return target_call(session, cmd, &argument->target);
	case MERGEMOD_PAGES:
		return pages_call(session, &argument->scan);
	case MERGEMOD_HASH:
		return hash_call(session, &argument->scan);
	case MERGEMOD_SCAN:
		return scan_call(session, &argument->scan);
	case MERGEMOD_MERGE:
		return merge_call(session, &argument->merge);
	case MERGEMOD_UNMERGE:
		return unmerge_call(session, &argument->ranges);
	case MERGEMOD_ADVISE:
		return advise_call(session, &argument->ranges);
	case MERGEMOD_STATS:
		return stats_call(&argument->stats);
	}
	return -ENOTTY;
}

static bool is_call(unsigned int cmd)
{
	switch (cmd) {
	case MERGEMOD_INFO:
	case MERGEMOD_ATTACH:
	case MERGEMOD_ACTIVATE:
	case MERGEMOD_DETACH:
	case MERGEMOD_PAGES:
	case MERGEMOD_HASH:
	case MERGEMOD_SCAN:
	case MERGEMOD_MERGE:
	case MERGEMOD_UNMERGE:
	case MERGEMOD_ADVISE:
	case MERGEMOD_STATS:
		return true;
	}
	return false;
}

static long session_ioctl(struct file *file, unsigned int cmd, unsigned long address)
{
	struct session *session = file->private_data;
	void __user *user = (void __user *)address;
	union argument argument = {};
	int r;

	if (!is_call(cmd))
		return -ENOTTY;
	if (_IOC_DIR(cmd) & _IOC_WRITE && copy_from_user(&argument, user, _IOC_SIZE(cmd)))
		return -EFAULT;

	if (mutex_lock_interruptible(&session->lock))
		return -EINTR;
	r = dispatch(session, cmd, &argument);
	mutex_unlock(&session->lock);

	/* Who asked for an interface that we do not have is told which we have. */
	if (r && !(cmd == MERGEMOD_INFO && r == -EPROTO))
		return r;
	if (_IOC_DIR(cmd) & _IOC_READ && copy_to_user(user, &argument, _IOC_SIZE(cmd)))
		return -EFAULT;
	return r;
}

const struct file_operations session_fops = {
	.owner = THIS_MODULE,
	.open = session_open,
	.release = session_release,
	.unlocked_ioctl = session_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};
