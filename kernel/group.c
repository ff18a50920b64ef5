// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups of pages that the caller believes to be equal, and the frame that each is to share.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "frames.h"
#include "group.h"
#include "target.h"

static void group_drop(struct group *group)
{
	if (group->page)
		put_page(group->page);
	if (group->frame)
		frame_free(group->frame);
	group->page = NULL;
	group->frame = NULL;
}

static struct frame *take_spare(struct groups *groups, int node)
{
	struct frame *frame = groups->spare;

	groups->spare = NULL;
	if (frame && page_to_nid(frame->page) != node) {
		frame_free(frame);
		frame = NULL;
	}
	return frame;
}

/**
 * group_is_full() - do as many share the frame of a group as may?
 * @group: the group, with a frame
 */
bool group_is_full(const struct group *group)
{
	return page_ref_count(group->page) >= group->refs_max;
}

/**
 * groups_resolve() - find or make the frame of a group
 * @groups: all of the call
 * @group: the one
 * @use: the target of @source
 * @source: a page of the group, for the content of a frame that nobody shares yet
 *
 * Every node has frames of its own, and more than one if many share them. The domain is that
 * of the group's first page; who is of another does not belong to it.
 *
 * Return: 0; -EXDEV, -EHWPOISON, -ENOSPC, -EDQUOT or -ENOMEM as in the interface.
 */
int groups_resolve(struct groups *groups, struct group *group, const struct target_use *use,
		   struct page *source)
{
	int node = page_to_nid(source);
	struct frame *frame;
	struct page *shared;
	int refs_max;

	if (group->page && !domain_equal(&group->domain, &use->domain))
		return -EXDEV;
	if (group->page && page_to_nid(group->page) == node && !group_is_full(group))
		return 0;

	frame = take_spare(groups, node) ?: frame_new(use->uid, node);
	if (IS_ERR(frame))
		return PTR_ERR(frame);
	/* To make room may have taken long. */
	if (PageHWPoison(source)) {
		groups->spare = frame;
		return -EHWPOISON;
	}
	frame_fill(frame, &use->domain, source);
	refs_max = frame->refs_max;
	shared = frames_find(frame, &refs_max);
	group_drop(group);
	group->domain = use->domain;
	group->refs_max = refs_max;
	if (shared) {
		group->page = shared;
		groups->spare = frame;
	} else {
		group->frame = frame;
		group->page = frame->page;
		get_page(group->page);
	}
	return 0;
}

/**
 * groups_free_spare() - another target is next, and another cgroup pays
 * @groups: all of the call
 */
void groups_free_spare(struct groups *groups)
{
	if (groups->spare)
		frame_free(groups->spare);
	groups->spare = NULL;
}

/**
 * group_publish() - the frame of a group is mapped; let others find it
 * @group: the group
 *
 * Return: whether it was new.
 */
bool group_publish(struct group *group)
{
	if (!group->frame)
		return false;
	frames_publish(group->frame);
	group->frame = NULL;
	return true;
}

/**
 * groups_init() - room for groups
 * @groups: for groups_exit()
 * @n: how many
 *
 * Return: 0 or -ENOMEM.
 */
int groups_init(struct groups *groups, unsigned int n)
{
	groups->items = kvcalloc(n, sizeof(*groups->items), GFP_KERNEL);
	if (!groups->items)
		return -ENOMEM;
	groups->n = n;
	groups->spare = NULL;
	return 0;
}

/**
 * groups_exit() - forget the groups, and frames that nobody came to share
 * @groups: from groups_init()
 */
void groups_exit(struct groups *groups)
{
	groups_free_spare(groups);
	for (unsigned int i = 0; i < groups->n; i++)
		group_drop(&groups->items[i]);
	kvfree(groups->items);
}
