/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/selector.h"

/* Who is looked at, and who may share with whom. Pure functions of what a process is. */

enum exclusion {
        EXCLUSION_NONE,
        EXCLUSION_KERNEL, /* kernel threads */
        EXCLUSION_INIT,   /* PID 1 */
        EXCLUSION_SELF,   /* the service and its worker */
        EXCLUSION_ENDED,  /* zombies */
        EXCLUSION_NOT_DUMPABLE,
        EXCLUSION_PRIVILEGED, /* set-uid, or capabilities beyond the user's */
        EXCLUSION_SECRETS,    /* programs that hold keys and passwords */
        EXCLUSION_MIXED,      /* programs that hold the data of many parties: browsers, mail */
        EXCLUSION_RULE,       /* Merge=never */
        EXCLUSION_DOUBT,      /* a rule with that may be about it */
        EXCLUSION_HUNG,       /* it stopped the worker lately */
        EXCLUSION_MAX_,
};
/* Words for users. */
const char *exclusion_to_string(enum exclusion e);

/* @named: the rule names the process by unit, cgroup, user or program, which lifts all but what
 * cannot be looked at at all. */
enum exclusion policy_exclude(const struct mm_process *p, bool named);

/* Whether user @uid, who is not root, may be told what pages @p has: the kernel tells him too, of processes
 * that are his in all respects and may be dumped. */
bool policy_own_memory_is_told(const struct mm_process *p, uid_t uid);

/* The trust domain of @p in words that are equal for processes of one domain and for no others.
 * @unit: its systemd unit or NULL; @cgroup: for TRUST_CGROUP, the directory that the rule matched.
 * 0 and a new string, or -ENOMEM. */
int policy_domain(enum trust trust, const struct mm_process *p, const char *unit, const char *cgroup,
                  char **ret);
