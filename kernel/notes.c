// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is remembered of areas in which huge pages were forbidden.
 */
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/slab.h>

#include "notes.h"

/* Whoever maps and unmaps areas all the time is not to fill the caller's memory with notes. */
#define NOTES_MAX 4096

static unsigned long first_of(const struct note *note)
{
	return note->start;
}

static unsigned long last_of(const struct note *note)
{
	return note->end - 1;
}

INTERVAL_TREE_DEFINE(struct note, node, unsigned long, subtree_last, first_of, last_of, static, tree)

static void drop(struct notes *notes, struct note *note)
{
	tree_remove(note, &notes->root);
	notes->n--;
}

/**
 * notes_free() - forget all
 * @notes: the notes
 */
void notes_free(struct notes *notes)
{
	struct note *note, *next;

	rbtree_postorder_for_each_entry_safe(note, next, &notes->root.rb_root, node)
		kfree(note);
}

/**
 * notes_make_room() - forget what is unmapped, if there may be too many notes otherwise
 * @notes: the notes
 * @mm: whose areas they are of, not locked
 * @n: how many are going to be added
 *
 * Return: 0 or -EINTR.
 */
int notes_make_room(struct notes *notes, struct mm_struct *mm, unsigned int n)
{
	struct note *note, *next;

	if (notes->n + n <= NOTES_MAX)
		return 0;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for (note = tree_iter_first(&notes->root, 0, ULONG_MAX); note; note = next) {
		next = tree_iter_next(note, 0, ULONG_MAX);
		if (find_vma_intersection(mm, note->start, note->end))
			continue;
		drop(notes, note);
		kfree(note);
	}
	mmap_read_unlock(mm);
	return 0;
}

/**
 * notes_put() - put in a note
 * @notes: the notes
 * @note: from notes_take(), of these notes or of others
 */
void notes_put(struct notes *notes, struct note *note)
{
	tree_insert(note, &notes->root);
	notes->n++;
}

/**
 * notes_add() - note that we forbade huge pages
 * @notes: the notes
 * @start: of the area
 * @end: of the area
 * @advised: they were asked for
 *
 * Notes of what lay there before go: no area is in two. The target's memory is locked, so reclaim
 * is not waited for.
 *
 * Return: 0 or -ENOMEM.
 */
int notes_add(struct notes *notes, unsigned long start, unsigned long end, bool advised)
{
	struct note *note, *next;

	for (note = tree_iter_first(&notes->root, start, end - 1); note; note = next) {
		next = tree_iter_next(note, start, end - 1);
		if (note->start < start || note->end > end)
			continue;
		drop(notes, note);
		kfree(note);
	}
	if (notes->n >= NOTES_MAX)
		return -ENOMEM;
	note = kmalloc(sizeof(*note), GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!note)
		return -ENOMEM;
	note->start = start;
	note->end = end;
	note->advised = advised;
	notes_put(notes, note);
	return 0;
}

/**
 * notes_take() - take out a note that ends in a range
 * @notes: the notes
 * @start: of the range
 * @end: of the range
 *
 * Where it begins does not count: whoever goes through an area in parts asks for the last one too.
 *
 * Return: the note, which the caller frees or puts back, or NULL.
 */
struct note *notes_take(struct notes *notes, unsigned long start, unsigned long end)
{
	struct note *note = tree_iter_first(&notes->root, start, end - 1);

	while (note && note->end > end)
		note = tree_iter_next(note, start, end - 1);
	if (note)
		drop(notes, note);
	return note;
}
