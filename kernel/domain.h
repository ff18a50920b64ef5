/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_DOMAIN_H
#define MERGEMOD_DOMAIN_H

#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/sched.h>

#include "uapi/linux/mergemod.h"

/**
 * struct domain - a trust domain
 * @id: keyed hashes of what makes it up: equal for equal domains only
 */
struct domain {
	u64 id[2];
};

/**
 * struct domain_rule - what the caller says about domains
 * @kind: which credentials count
 * @narrow: a number of the caller's, part of the domain
 * @session: secret number of the session
 * @cgroup: with MERGEMOD_DOMAIN_CGROUP, the one all must be in
 */
struct domain_rule {
	enum mergemod_domain kind;
	u64 narrow;
	u64 session;
	struct cgroup *cgroup;
};

void domain_init(void);
int domain_of(const struct domain_rule *rule, struct task_struct *task, const struct cred *cred,
	      struct domain *ret);

static inline bool domain_equal(const struct domain *a, const struct domain *b)
{
	return a->id[0] == b->id[0] && a->id[1] == b->id[1];
}

#endif
