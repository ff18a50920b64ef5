/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_SWEEP_H
#define MERGEMOD_SWEEP_H

int sweep_init(void);
void sweep_exit(void);

#endif
