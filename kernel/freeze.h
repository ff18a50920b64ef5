/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_FREEZE_H
#define MERGEMOD_FREEZE_H

#include <linux/migrate.h>

/* Pages that are frozen together, and for which a lock is held at one go. */
#define FREEZE_MAX 64

/**
 * struct freezer - pages whose contents cannot change
 * @args: for migrate_vma_setup()
 * @src: its answer: the pages, locked, isolated, and unmapped from everybody
 * @dst: where they should go: nowhere
 */
struct freezer {
	struct migrate_vma args;
	unsigned long src[FREEZE_MAX];
	unsigned long dst[FREEZE_MAX];
};

int freeze(struct freezer *freezer, struct vm_area_struct *vma, unsigned long start, unsigned int n);
struct page *frozen_page(const struct freezer *freezer, unsigned int i);
int frozen_replace(const struct freezer *freezer, unsigned int i, struct page *frame);
void thaw(struct freezer *freezer);

#endif
