/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_OWNERS_H
#define MERGEMOD_OWNERS_H

#include <linux/types.h>
#include <linux/uidgid.h>

int owners_prepare(kuid_t uid, gfp_t gfp);
int owners_take(kuid_t uid, unsigned long frames_max);
void owners_give(kuid_t uid);
void owners_exit(void);

#endif
