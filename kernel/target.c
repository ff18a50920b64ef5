// SPDX-License-Identifier: GPL-2.0-only
/*
 * Targets: the processes of a session.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "target.h"

#define TARGETS_MAX 65536

static void target_free(struct target *target)
{
	notes_free(&target->notes);
	mmdrop(target->mm);
	put_pid(target->pid);
	kfree(target);
}

/*
 * A child of vfork() has its parent's memory, and can have other credentials. Whose the
 * memory is only kernels with memory cgroups know.
 */
static bool owns_memory(struct task_struct *task, struct mm_struct *mm)
{
#ifdef CONFIG_MEMCG
	struct task_struct *owner;
	bool r;

	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	r = owner && same_thread_group(owner, task);
	rcu_read_unlock();
	return r;
#else
	return true;
#endif
}

/**
 * target_attach() - bind a number to a process
 * @targets: the session's
 * @attach: from the caller; the number goes there
 *
 * Return: 0 or a negative errno, see the interface.
 */
int target_attach(struct xarray *targets, struct mergemod_attach *attach)
{
	struct task_struct *task;
	struct target *target;
	struct mm_struct *mm;
	struct pid *pid;
	int r;

	if (attach->pid <= 0 || attach->flags || attach->reserved)
		return -EINVAL;
	pid = find_get_pid(attach->pid);
	if (!pid)
		return -ESRCH;

	task = get_pid_task(pid, PIDTYPE_PID);
	r = -ESRCH;
	if (!task)
		goto put_pid;
	r = -EINVAL;
	if (!thread_group_leader(task))
		goto put_task;
	r = -EPERM;
	if (is_global_init(task))
		goto put_task;
	r = -ESRCH;
	mm = get_task_mm(task);
	if (!mm)
		goto put_task;
	if (!owns_memory(task, mm))
		goto put_mm;

	r = -ENOMEM;
	target = kzalloc(sizeof(*target), GFP_KERNEL_ACCOUNT);
	if (!target)
		goto put_mm;
	mmgrab(mm);
	target->mm = mm;
	target->pid = get_pid(pid);
	r = xa_alloc(targets, &attach->target, target, XA_LIMIT(1, TARGETS_MAX), GFP_KERNEL_ACCOUNT);
	if (r) {
		target_free(target);
		r = r == -EBUSY ? -ENOSPC : r;
	}

put_mm:
	mmput_async(mm);
put_task:
	put_task_struct(task);
put_pid:
	put_pid(pid);
	return r;
}

/**
 * target_activate() - the caller is sure of a target
 * @targets: the session's
 * @id: the target's number
 *
 * Return: 0 or -ENOENT.
 */
int target_activate(struct xarray *targets, u32 id)
{
	struct target *target = xa_load(targets, id);

	if (!target)
		return -ENOENT;
	target->active = true;
	return 0;
}

/**
 * target_detach() - forget a target
 * @targets: the session's
 * @id: the target's number
 *
 * Return: 0 or -ENOENT.
 */
int target_detach(struct xarray *targets, u32 id)
{
	struct target *target = xa_erase(targets, id);

	if (!target)
		return -ENOENT;
	target_free(target);
	return 0;
}

/**
 * target_detach_all() - the session ends
 * @targets: the session's
 */
void target_detach_all(struct xarray *targets)
{
	struct target *target;
	unsigned long id;

	xa_for_each(targets, id, target)
		target_free(target);
	xa_destroy(targets);
}

/*
 * Credentials and memory change together in exec, under a lock that keeps us from seeing
 * the old user with the new program's memory.
 */
static int look_at(struct target *target, struct task_struct *task, const struct domain_rule *rule,
		   struct target_use *use)
{
	const struct cred *cred;
	int r = 0;

	if (down_read_killable(&task->signal->exec_update_lock))
		return -EINTR;
	use->mm = get_task_mm(task);
	/* What dumps core is as good as gone. */
	if (use->mm == target->mm && owns_memory(task, use->mm) && !READ_ONCE(task->signal->core_state)) {
		cred = get_task_cred(task);
		use->uid = cred->uid;
		if (rule)
			r = domain_of(rule, task, cred, &use->domain);
		put_cred(cred);
	} else {
		r = -ESRCH;
	}
	up_read(&task->signal->exec_update_lock);

	if (r && use->mm)
		mmput_async(use->mm);
	return r;
}

/**
 * target_enter() - use a target's memory
 * @targets: the session's
 * @id: the target's number
 * @rule: which domain it is wanted for, NULL for none
 * @ret: for target_leave()
 *
 * Return: 0; -ENOENT, -ENOTCONN, -ESRCH, -EXDEV as in the interface; -EINTR when killed.
 */
int target_enter(struct xarray *targets, u32 id, const struct domain_rule *rule, struct target_use *ret)
{
	struct target *target = xa_load(targets, id);
	struct target_use use = { .target = target };
	struct task_struct *task;
	int r;

	if (!target)
		return -ENOENT;
	if (!target->active)
		return -ENOTCONN;
	task = get_pid_task(target->pid, PIDTYPE_TGID);
	if (!task)
		return -ESRCH;
	r = look_at(target, task, rule, &use);
	put_task_struct(task);
	if (r)
		return r;
	*ret = use;
	return 0;
}

/**
 * target_leave() - the memory is no longer used
 * @use: from target_enter()
 *
 * If the process is gone its memory is taken down by somebody else, not by the caller.
 */
void target_leave(struct target_use *use)
{
	mmput_async(use->mm);
}
