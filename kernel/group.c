// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups of pages that the caller believes to be equal, and the frame that each is to share.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "frames.h"
#include "group.h"
#include "page.h"
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

/**
 * group_has_room() - has a group a frame, and may others come to share it?
 * @group: the group
 */
bool group_has_room(const struct group *group)
{
	return group->page && frame_has_room(group->page, group->refs_max) && !PageHWPoison(group->page);
}

static bool group_is_ready(const struct group *group, int nid, int refs_max)
{
	if (group->page)
		return page_to_nid(group->page) == nid && frame_has_room(group->page, refs_max) &&
		       !PageHWPoison(group->page);
	return group->frame && page_to_nid(group->frame->page) == nid;
}

static struct frame *take_spare(struct groups *groups, int nid)
{
	struct frame *frame;

	hlist_for_each_entry(frame, &groups->spares, node) {
		if (page_to_nid(frame->page) != nid)
			continue;
		hlist_del_init(&frame->node);
		return frame;
	}
	return NULL;
}

/**
 * group_recall() - the batch is over; an empty frame of the group is for the next
 * @groups: all of the call
 * @group: the one
 *
 * The next batch may be another target's, for whom it does not count.
 */
void group_recall(struct groups *groups, struct group *group)
{
	if (group->page || !group->frame)
		return;
	hlist_add_head(&group->frame->node, &groups->spares);
	group->frame = NULL;
}

/**
 * group_prepare() - see to it that a group has a frame, or an empty one in case it needs it
 * @groups: all of the call
 * @group: the one
 * @use: the target of the batch
 * @nid: node of a page of the group
 * @wait: a new frame may take its time
 *
 * Every node has frames of its own, and more than one if many share them. The domain is that
 * of the group's first page; who is of another does not belong to it.
 *
 * Return: 0; -EXDEV, -ENOSPC, -EDQUOT or -ENOMEM as in the interface.
 */
int group_prepare(struct groups *groups, struct group *group, const struct target_use *use, int nid,
		  bool wait)
{
	struct frame *frame;

	if (group->page && !domain_equal(&group->domain, &use->domain))
		return -EXDEV;
	if (group_is_ready(group, nid, group->refs_max))
		return 0;

	frame = take_spare(groups, nid) ?: frame_new(use->uid, nid, wait);
	if (IS_ERR(frame))
		return PTR_ERR(frame);
	group_recall(groups, group);
	group_drop(group);
	group->domain = use->domain;
	group->frame = frame;
	return 0;
}

/* The frame that others share already, or a copy of @page. Returns whether it is a copy. */
static bool group_find(struct groups *groups, struct group *group, struct page *page)
{
	struct frame *frame = group->frame;
	u64 hash = frames_hash(page);

	group->page = frames_find(hash, &group->domain, page_to_nid(page), &group->refs_max);
	if (group->page) {
		group->frame = NULL;
		hlist_add_head(&frame->node, &groups->spares);
		return false;
	}
	frame_fill(frame, hash, &group->domain, page);
	group->refs_max = frame->refs_max;
	group->page = frame->page;
	get_page(group->page);
	return true;
}

/**
 * group_accept() - may a page be replaced by the frame of its group?
 * @groups: all of the call
 * @group: the one, prepared
 * @use: the target of the batch
 * @page: a frozen page; if it is the first one its content is the group's
 *
 * Return: 0; -ESTALE if it has other bytes, -EXDEV, -EAGAIN or -EHWPOISON.
 */
int group_accept(struct groups *groups, struct group *group, const struct target_use *use,
		 struct page *page)
{
	bool copied;

	if (!domain_equal(&group->domain, &use->domain))
		return -EXDEV;
	/* Prepared for all of the batch. */
	if (!group_is_ready(group, page_to_nid(page), FRAME_REFS_MAX))
		return -EAGAIN;
	copied = !group->page && group_find(groups, group, page);
	if (PageHWPoison(group->page))
		return -EHWPOISON;
	return copied || page_equal(page, group->page) ? 0 : -ESTALE;
}

/**
 * groups_free_spares() - free the frames that were not needed so far
 * @groups: all of the call
 */
void groups_free_spares(struct groups *groups)
{
	struct hlist_node *next;
	struct frame *frame;

	hlist_for_each_entry_safe(frame, next, &groups->spares, node) {
		hlist_del(&frame->node);
		frame_free(frame);
	}
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
	INIT_HLIST_HEAD(&groups->spares);
	return 0;
}

/**
 * groups_exit() - forget the groups, and frames that nobody came to share
 * @groups: from groups_init()
 */
void groups_exit(struct groups *groups)
{
	groups_free_spares(groups);
	for (unsigned int i = 0; i < groups->n; i++)
		group_drop(&groups->items[i]);
	kvfree(groups->items);
}
