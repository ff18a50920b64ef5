/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_TARGET_H
#define MERGEMOD_TARGET_H

#include <linux/mm_types.h>
#include <linux/pid.h>
#include <linux/uidgid.h>
#include <linux/xarray.h>

#include "domain.h"
#include "notes.h"

/**
 * struct target - a process that a session attached
 * @pid: who it is, for as long as we look
 * @mm: its memory, kept from being reused as somebody else's, but not in use by us
 * @active: the caller has made sure that it is whom he means
 * @notes: areas in which we forbade huge pages
 */
struct target {
	struct pid *pid;
	struct mm_struct *mm;
	bool active;
	struct notes notes;
};

/**
 * struct target_use - a target's memory while a call works on it
 * @target: the target
 * @mm: its memory, in use
 * @uid: whom its frames count for
 * @domain: with whom it may share
 */
struct target_use {
	struct target *target;
	struct mm_struct *mm;
	kuid_t uid;
	struct domain domain;
};

int target_attach(struct xarray *targets, struct mergemod_attach *attach);
int target_activate(struct xarray *targets, u32 id);
int target_detach(struct xarray *targets, u32 id);
void target_detach_all(struct xarray *targets);

int target_enter(struct xarray *targets, u32 id, const struct domain_rule *rule, struct target_use *ret);
void target_leave(struct target_use *use);

#endif
