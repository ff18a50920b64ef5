/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_NOTES_H
#define MERGEMOD_NOTES_H

#include <linux/rbtree.h>
#include <linux/types.h>

struct mm_struct;

/**
 * struct note - an area in which we forbade huge pages
 * @node: among the notes of the target
 * @subtree_last: of the tree
 * @start: of the area then
 * @end: of the area then
 * @advised: the area was marked to have some
 */
struct note {
	struct rb_node node;
	unsigned long subtree_last;
	unsigned long start;
	unsigned long end;
	bool advised;
};

/**
 * struct notes - those of a target; all zeros for none
 * @root: interval tree
 * @n: how many
 */
struct notes {
	struct rb_root_cached root;
	unsigned int n;
};

void notes_free(struct notes *notes);
int notes_make_room(struct notes *notes, struct mm_struct *mm, unsigned int n);
void notes_put(struct notes *notes, struct note *note);
int notes_add(struct notes *notes, unsigned long start, unsigned long end, bool advised);
struct note *notes_take(struct notes *notes, unsigned long start, unsigned long end);

#endif
