/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_GROUP_H
#define MERGEMOD_GROUP_H

#include "domain.h"

struct frame;
struct page;
struct target_use;

/**
 * struct group - pages that are believed to be equal
 * @page: what they are to share, with a reference; NULL if not known yet
 * @frame: of @page, as long as nobody shares it; without @page: empty, for the batch at hand
 * @refs_max: of @page, with so many it gets no further users
 * @domain: who may share it
 */
struct group {
	struct page *page;
	struct frame *frame;
	int refs_max;
	struct domain domain;
};

/**
 * struct groups - all groups of a call
 * @items: by number
 * @n: how many
 * @spares: empty frames that were not needed, for the next; charged to the target of the batch
 */
struct groups {
	struct group *items;
	unsigned int n;
	struct hlist_head spares;
};

int groups_init(struct groups *groups, unsigned int n);
void groups_exit(struct groups *groups);
void groups_free_spares(struct groups *groups);
int group_prepare(struct groups *groups, struct group *group, const struct target_use *use, int nid,
		  bool wait);
void group_recall(struct groups *groups, struct group *group);
int group_accept(struct groups *groups, struct group *group, const struct target_use *use,
		 struct page *page);
bool group_has_room(const struct group *group);
bool group_publish(struct group *group);

#endif
