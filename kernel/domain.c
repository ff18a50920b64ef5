// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trust domains: who may share frames with whom.
 */
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/random.h>
#include <linux/siphash.h>
#include <linux/user_namespace.h>

#include "domain.h"

/**
 * struct domain_parts - what makes up a domain; what does not count is 0
 * @kind: enum mergemod_domain
 * @narrow: the caller's number
 * @session: of the session
 * @cgroup: id of a cgroup
 * @user_ns: identity of the user namespace
 * @pid_ns: of the pid namespace
 * @mnt_ns: of the mount namespace
 * @uids: real, effective, saved, filesystem
 */
struct domain_parts {
	u64 kind;
	u64 narrow;
	u64 session;
	u64 cgroup;
	u64 user_ns;
	u64 pid_ns;
	u64 mnt_ns;
	u32 uids[4];
};

/* Drawn when the module is loaded, so that nobody can look for domains that collide. */
static siphash_key_t domain_keys[2];

/**
 * domain_init() - draw the secret
 */
void domain_init(void)
{
	get_random_bytes(domain_keys, sizeof(domain_keys));
}

static int add_namespaces(struct domain_parts *parts, struct task_struct *task, const struct cred *cred)
{
	bool alive;

	task_lock(task);
	alive = task->nsproxy;
	if (alive)
		parts->mnt_ns = (unsigned long)task->nsproxy->mnt_ns;
	task_unlock(task);
	if (!alive)
		return -ESRCH;

	parts->user_ns = (unsigned long)cred->user_ns;
	rcu_read_lock();
	parts->pid_ns = (unsigned long)task_active_pid_ns(task);
	rcu_read_unlock();
	return 0;
}

static void add_user(struct domain_parts *parts, struct task_struct *task, const struct cred *cred)
{
	parts->uids[0] = from_kuid(&init_user_ns, cred->uid);
	parts->uids[1] = from_kuid(&init_user_ns, cred->euid);
	parts->uids[2] = from_kuid(&init_user_ns, cred->suid);
	parts->uids[3] = from_kuid(&init_user_ns, cred->fsuid);

	/* Root's services have nothing in common but their user. */
	if (uid_eq(cred->uid, GLOBAL_ROOT_UID) || uid_eq(cred->euid, GLOBAL_ROOT_UID) ||
	    uid_eq(cred->suid, GLOBAL_ROOT_UID) || uid_eq(cred->fsuid, GLOBAL_ROOT_UID)) {
		rcu_read_lock();
		parts->cgroup = cgroup_id(task_dfl_cgroup(task));
		rcu_read_unlock();
	}
}

static int add_cgroup(struct domain_parts *parts, struct task_struct *task, struct cgroup *cgroup)
{
	bool inside;

	rcu_read_lock();
	inside = cgroup_is_descendant(task_dfl_cgroup(task), cgroup);
	rcu_read_unlock();
	if (!inside)
		return -EXDEV;
	parts->cgroup = cgroup_id(cgroup);
	return 0;
}

/**
 * domain_of() - the domain of a process
 * @rule: what counts
 * @task: the process
 * @cred: its credentials
 * @ret: the domain
 *
 * Return: 0; -EXDEV if it is not in the cgroup; -ESRCH if it exits.
 */
int domain_of(const struct domain_rule *rule, struct task_struct *task, const struct cred *cred,
	      struct domain *ret)
{
	struct domain_parts parts = { .kind = rule->kind, .narrow = rule->narrow };
	int r = 0;

	switch (rule->kind) {
	case MERGEMOD_DOMAIN_USER:
		add_user(&parts, task, cred);
		r = add_namespaces(&parts, task, cred);
		break;
	case MERGEMOD_DOMAIN_CGROUP:
		r = add_cgroup(&parts, task, rule->cgroup) ?: add_namespaces(&parts, task, cred);
		break;
	case MERGEMOD_DOMAIN_SESSION:
		parts.session = rule->session;
		break;
	case MERGEMOD_DOMAIN_SYSTEM:
		break;
	}
	if (r)
		return r;

	for (unsigned int i = 0; i < ARRAY_SIZE(ret->id); i++)
		ret->id[i] = siphash(&parts, sizeof(parts), &domain_keys[i]);
	return 0;
}
