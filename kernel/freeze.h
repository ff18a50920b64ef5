/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_FREEZE_H
#define MERGEMOD_FREEZE_H

#include <linux/migrate.h>

/* Pages that are frozen together, and for which a lock is held at one go. */
#define FREEZE_MAX 256

/**
 * struct freezer - pages whose contents cannot change
 * @args: for migrate_vma_setup()
 * @src: its answer: the pages, locked, isolated, and unmapped from everybody
 * @dst: where they should go: nowhere
 * @frames: what should replace them: frames, or the page of zeros; NULL leaves a page as it is
 * @results: of frozen_replace()
 * @free: pages that nobody maps any more, with the last reference
 * @n_free: how many
 */
struct freezer {
	struct migrate_vma args;
	unsigned long src[FREEZE_MAX];
	unsigned long dst[FREEZE_MAX];
	struct page *frames[FREEZE_MAX];
	int results[FREEZE_MAX];
	struct page *free[FREEZE_MAX];
	unsigned int n_free;
};

int freeze(struct freezer *freezer, struct vm_area_struct *vma, unsigned long start, unsigned int n);
struct page *frozen_page(const struct freezer *freezer, unsigned int i);
void frozen_replace(struct freezer *freezer);
void thaw(struct freezer *freezer);

#endif
