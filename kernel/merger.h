/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_MERGER_H
#define MERGEMOD_MERGER_H

#include "freeze.h"
#include "group.h"
#include "target.h"
#include "walk.h"

struct session;

/**
 * struct candidate - an element on its way
 * @address: of the page
 * @group: its group
 * @status: as in the interface; 1 as long as it may still be merged
 * @zero: it held zeros
 * @nid: where its memory is, if it wants a frame; or NUMA_NO_NODE
 * @frameless: there was none to be had without waiting
 * @page: while it is looked at: the page, with a reference
 * @merged: the page that was replaced, with a reference; NULL if it was freed at once
 */
struct candidate {
	unsigned long address;
	struct group *group;
	int status;
	bool zero;
	int nid;
	bool frameless;
	struct page *page;
	struct page *merged;
};

#define PENDING 1

/**
 * struct merger - a call at work
 * @session: whose call
 * @call: its argument
 * @rule: the domain that was asked for
 * @groups: by number
 * @spares_target: whose batch the last one was
 * @use: the target of the batch
 * @elements: of the batch
 * @candidates: of the batch
 * @mappings: what a run of them maps
 * @n: how many
 * @huge: some of them are in areas that could get huge pages
 * @freezer: for the second step
 */
struct merger {
	struct session *session;
	struct mergemod_merge *call;
	struct domain_rule rule;
	struct groups groups;
	u32 spares_target;
	struct target_use use;
	struct mergemod_element elements[FREEZE_MAX];
	struct candidate candidates[FREEZE_MAX];
	struct mapping mappings[FREEZE_MAX];
	unsigned int n;
	bool huge;
	struct freezer freezer;
};

bool merge_as_zeros(const struct merger *merger, struct page *page);

struct vm_area_struct *find_area(struct merger *merger, unsigned int i);
unsigned int run_length(const struct merger *merger, unsigned int first, const struct vm_area_struct *vma);
void look_at_all(struct merger *merger);
void look_again(struct merger *merger, unsigned int i, struct vm_area_struct *vma);
bool make_frames(struct merger *merger);
int split_all(struct merger *merger);
int forbid_huge(struct merger *merger);

#endif
