/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_SESSION_H
#define MERGEMOD_SESSION_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

#include "uapi/linux/mergemod.h"

/**
 * struct session - an open file
 * @lock: its calls run one after the other
 * @greeted: MERGEMOD_INFO was answered
 * @secret: makes up the domain that is private to it
 * @targets: struct target by number
 * @batch_pages: pages that are merged under one hold of a target's lock
 */
struct session {
	struct mutex lock;
	bool greeted;
	u64 secret;
	struct xarray targets;
	unsigned int batch_pages;
};

extern const struct file_operations session_fops;

/* One function per call, in the file of its subject. The session's lock is held. */
int merge_call(struct session *session, struct mergemod_merge *merge);
int pages_call(struct session *session, struct mergemod_scan *scan);
int hash_call(struct session *session, struct mergemod_scan *scan);
int scan_call(struct session *session, struct mergemod_scan *scan);
int unmerge_call(struct session *session, struct mergemod_ranges *ranges);
int advise_call(struct session *session, struct mergemod_ranges *ranges);

#endif
