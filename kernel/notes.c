// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is remembered of areas in which huge pages were forbidden.
 */
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/slab.h>

#include "notes.h"

/* Whoever maps and unmaps areas all the time is not to fill the caller's memory with notes. */
#define NOTES_MAX 4096

static struct note *to_note(const struct rb_node *node)
{
	return rb_entry_safe(node, struct note, node);
}

static void drop(struct notes *notes, struct note *note)
{
	rb_erase(&note->node, &notes->root);
	notes->n--;
}

/**
 * notes_free() - forget all
 * @notes: the notes
 */
void notes_free(struct notes *notes)
{
	struct note *note, *next;

	rbtree_postorder_for_each_entry_safe(note, next, &notes->root, node)
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
	for (note = to_note(rb_first(&notes->root)); note; note = next) {
		next = to_note(rb_next(&note->node));
		if (find_vma_intersection(mm, note->start, note->end))
			continue;
		drop(notes, note);
		kfree(note);
	}
	mmap_read_unlock(mm);
	return 0;
}

static bool is_before(struct rb_node *a, const struct rb_node *b)
{
	return to_note(a)->start < to_note(b)->start;
}

/**
 * notes_add() - note that we forbade huge pages
 * @notes: the notes
 * @start: of the area
 * @end: of the area
 * @advised: they were asked for
 *
 * Notes of what lay there before go: no area is in two.
 *
 * Return: 0 or -ENOMEM.
 */
int notes_add(struct notes *notes, unsigned long start, unsigned long end, bool advised)
{
	struct note *note;

	while ((note = notes_take(notes, start, end)))
		kfree(note);
	if (notes->n >= NOTES_MAX)
		return -ENOMEM;
	note = kmalloc(sizeof(*note), GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);
	if (!note)
		return -ENOMEM;
	note->start = start;
	note->end = end;
	note->advised = advised;
	rb_add(&note->node, &notes->root, is_before);
	notes->n++;
	return 0;
}

static struct note *find(const struct notes *notes, unsigned long start, unsigned long end)
{
	const struct rb_node *node = notes->root.rb_node;
	struct note *note, *first = NULL;

	while (node) {
		note = to_note(node);
		if (note->start >= start)
			first = note;
		node = note->start >= start ? node->rb_left : node->rb_right;
	}
	/* Areas change: one that reached further when it was noted can begin here too. */
	for (note = first; note && note->start < end; note = to_note(rb_next(&note->node)))
		if (note->end <= end)
			return note;
	return NULL;
}

/**
 * notes_take() - take out a note that lies in a range
 * @notes: the notes
 * @start: of the range
 * @end: of the range
 *
 * Return: the note, which the caller frees, or NULL.
 */
struct note *notes_take(struct notes *notes, unsigned long start, unsigned long end)
{
	struct note *note = find(notes, start, end);

	if (note)
		drop(notes, note);
	return note;
}
