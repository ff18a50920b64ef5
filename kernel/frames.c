// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared frames, by domain and content.
 *
 * A frame is an ordinary page of the kernel: order 0, on no list, belonging to no file, not
 * movable. It is never a page that a process had, so nobody can choose which memory others
 * will share. Its content never changes. Whoever maps it holds a reference, so it stays as
 * long as it is mapped, with or without this table, and with or without the module.
 */
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "frames.h"
#include "owners.h"
#include "page.h"
#include "stats.h"

static unsigned long max_frames;
module_param(max_frames, ulong, 0600);
MODULE_PARM_DESC(max_frames, "most shared frames; 0 for a sixteenth of memory");

#define BUCKETS_MAX (1UL << 20)
#define ROOM_LOOKS 4096

/*
 * A page counts its references in 32 bits, and fork multiplies them by as many as there can be
 * processes, 2^22: below 2^10 they do not wrap whoever forks. So a frame that has many gets no
 * further users but by fork, and another is made. How many is drawn for each frame, so that
 * nobody can count his own until it is full and so learn how many there are besides. A batch
 * that begins before it is full is merged to its end, as far as FRAME_REFS_MAX.
 */
#define REFS_LEAST 128
#define REFS_SPREAD 256
/* Of one content; the newest come first. */
#define FULL_LOOKS 64

/**
 * struct frames_table - all shared frames that can get further users
 * @lock: for the buckets and the owners
 * @going: for whoever goes through a bucket and drops @lock meanwhile; no frame leaves the
 *	table without it. Nothing is allocated under it, and reclaim does not wait for it.
 * @buckets: lists of struct frame
 * @n_buckets: a power of two
 * @cursor: the bucket to sweep next
 * @n_frames: in the table or about to be put there
 * @seed: of the hashes
 */
static struct frames_table {
	spinlock_t lock;
	struct mutex going;
	struct hlist_head *buckets;
	unsigned long n_buckets;
	unsigned long cursor;
	unsigned long n_frames;
	u64 seed;
} table = {
	.lock = __SPIN_LOCK_UNLOCKED(table.lock),
	.going = __MUTEX_INITIALIZER(table.going),
};

/* What everybody has, everybody has in a bucket of his domain's. */
static struct hlist_head *bucket_of(u64 hash, const struct domain *domain)
{
	return &table.buckets[(hash ^ domain->id[0]) & (table.n_buckets - 1)];
}

/**
 * frames_max() - at most so many shared frames
 */
unsigned long frames_max(void)
{
	return READ_ONCE(max_frames) ?: totalram_pages() / 16;
}

/**
 * frames_count() - shared frames now
 */
unsigned long frames_count(void)
{
	return READ_ONCE(table.n_frames);
}

/**
 * frames_mappings() - how often shared frames are mapped, all together
 */
unsigned long frames_mappings(void)
{
	unsigned long n = 0;
	struct frame *frame;

	for (unsigned long i = 0; i < table.n_buckets; i++) {
		if (hlist_empty(&table.buckets[i]))
			continue;
		mutex_lock(&table.going);
		spin_lock(&table.lock);
		hlist_for_each_entry(frame, &table.buckets[i], node) {
			n += atomic_read(&frame->page->_mapcount) + 1;
			cond_resched_lock(&table.lock);
		}
		spin_unlock(&table.lock);
		mutex_unlock(&table.going);
		cond_resched();
	}
	return n;
}

static int reserve(kuid_t owner)
{
	int r = -ENOSPC;

	spin_lock(&table.lock);
	if (table.n_frames < frames_max())
		r = owners_take(owner, frames_max());
	if (!r)
		table.n_frames++;
	spin_unlock(&table.lock);
	return r;
}

/* Frames that lost their last user count until they are swept; that may be why there is no room. */
static int make_room(kuid_t owner)
{
	static unsigned long last = INITIAL_JIFFIES;
	int r = reserve(owner);

	/* Not for every page when it is others that are in the way. */
	if ((r != -ENOSPC && r != -EDQUOT) || !time_after(jiffies, READ_ONCE(last)))
		return r;
	WRITE_ONCE(last, jiffies);
	return frames_sweep(ROOM_LOOKS, true) ? reserve(owner) : r;
}

/**
 * frame_new() - a frame that is not shared yet, and has no content
 * @owner: for whom it counts
 * @node: where its memory is
 * @wait: memory may be reclaimed for it, and unused frames be looked for
 *
 * It is charged to the caller's active memory cgroup. Never under a page table lock or with
 * frozen pages.
 *
 * Return: the frame; -ENOSPC, -EDQUOT or -ENOMEM as in the interface.
 */
struct frame *frame_new(kuid_t owner, int node, bool wait)
{
	const gfp_t gfp = (wait ? GFP_KERNEL : GFP_NOWAIT) | __GFP_NORETRY | __GFP_NOWARN;
	const gfp_t page_gfp = gfp | __GFP_HIGHMEM | __GFP_HARDWALL | __GFP_THISNODE | __GFP_ACCOUNT;
	struct frame *frame;
	int r;

	r = owners_prepare(owner, gfp);
	if (!r)
		r = wait ? make_room(owner) : reserve(owner);
	if (r)
		return ERR_PTR(r);
	frame = kmalloc(sizeof(*frame), gfp | __GFP_ACCOUNT);
	if (!frame)
		goto unreserve;
	frame->page = alloc_pages_node(node, page_gfp, 0);
	if (!frame->page)
		goto free_frame;
	frame->owner = owner;
	frame->refs_max = REFS_LEAST + get_random_u32() % REFS_SPREAD;
	INIT_HLIST_NODE(&frame->node);
	return frame;

free_frame:
	kfree(frame);
unreserve:
	spin_lock(&table.lock);
	table.n_frames--;
	owners_give(owner);
	spin_unlock(&table.lock);
	return ERR_PTR(-ENOMEM);
}

static void frame_release(struct frame *frame)
{
	put_page(frame->page);
	kfree(frame);
}

/**
 * frame_free() - a frame was not needed
 * @frame: not published
 */
void frame_free(struct frame *frame)
{
	spin_lock(&table.lock);
	table.n_frames--;
	owners_give(frame->owner);
	spin_unlock(&table.lock);
	frame_release(frame);
}

/**
 * frame_fill() - give a frame its content
 * @frame: not published
 * @hash: from frames_hash() of @source
 * @domain: who may share it
 * @source: a frozen page
 */
void frame_fill(struct frame *frame, u64 hash, const struct domain *domain, struct page *source)
{
	copy_highpage(frame->page, source);
	/* The content comes before the page table entry that shows it. */
	smp_wmb();
	frame->hash = hash;
	frame->domain = *domain;
}

/**
 * frames_hash() - what the table knows a content by
 * @source: a frozen page
 */
u64 frames_hash(struct page *source)
{
	return page_hash(source, table.seed);
}

/* Nobody comes to share a frame with a memory error. */
static bool frame_fits(const struct frame *frame, u64 hash, const struct domain *domain, int node)
{
	return frame->hash == hash && domain_equal(&frame->domain, domain) &&
	       page_to_nid(frame->page) == node && !PageHWPoison(frame->page);
}

/**
 * frames_find() - the frame that others share already
 * @hash: of the content
 * @domain: who may share it
 * @node: where its memory is
 * @ret_refs_max: with so many references the page gets no further users
 *
 * Return: its page, with a reference, or NULL.
 */
struct page *frames_find(u64 hash, const struct domain *domain, int node, int *ret_refs_max)
{
	unsigned int n_full = 0;
	struct page *page = NULL;
	struct frame *frame;

	spin_lock(&table.lock);
	hlist_for_each_entry(frame, bucket_of(hash, domain), node) {
		if (!frame_fits(frame, hash, domain, node))
			continue;
		if (!frame_has_room(frame->page, frame->refs_max)) {
			if (++n_full == FULL_LOOKS)
				break;
			continue;
		}
		page = frame->page;
		get_page(page);
		*ret_refs_max = frame->refs_max;
		break;
	}
	spin_unlock(&table.lock);
	return page;
}

/**
 * frames_publish() - let others share a frame
 * @frame: filled, and mapped; the table's from now on
 */
void frames_publish(struct frame *frame)
{
	spin_lock(&table.lock);
	hlist_add_head(&frame->node, bucket_of(frame->hash, &frame->domain));
	spin_unlock(&table.lock);
	stats_add(STAT_FRAMES_MADE, 1);
}

/*
 * Under the lock, a frame with one reference is ours alone and stays so: references are
 * taken from mappings, of which there are none, or by frames_find(). The kernel keeps one to
 * a frame with a memory error for ever.
 */
static bool frame_is_unused(const struct frame *frame)
{
	return page_ref_count(frame->page) == 1 ||
	       (PageHWPoison(frame->page) && !folio_mapped(page_folio(frame->page)));
}

static unsigned long sweep_bucket(struct hlist_head *bucket, struct hlist_head *unused, bool wait)
{
	struct hlist_node *next;
	struct frame *frame;
	unsigned long n = 0;

	if (wait)
		mutex_lock(&table.going);
	else if (!mutex_trylock(&table.going))
		return 0;
	spin_lock(&table.lock);
	hlist_for_each_entry_safe(frame, next, bucket, node) {
		/* The next one stays where it is meanwhile, see @going. */
		cond_resched_lock(&table.lock);
		if (!frame_is_unused(frame))
			continue;
		hlist_del(&frame->node);
		hlist_add_head(&frame->node, unused);
		table.n_frames--;
		owners_give(frame->owner);
		n++;
	}
	spin_unlock(&table.lock);
	mutex_unlock(&table.going);
	return n;
}

static void release_all(struct hlist_head *frames)
{
	struct hlist_node *next;
	struct frame *frame;

	hlist_for_each_entry_safe(frame, next, frames, node)
		frame_release(frame);
}

/**
 * frames_sweep() - give back frames that nobody maps any more
 * @n: look at about so many
 * @wait: for whoever else goes through a bucket; otherwise it is passed over, and comes round again
 *
 * Return: how many were given back.
 */
unsigned long frames_sweep(unsigned long n, bool wait)
{
	unsigned long n_looks = max(1UL, div64_ul((u64)n * table.n_buckets, max(1UL, frames_count())));
	unsigned long n_given = 0;
	HLIST_HEAD(unused);

	n_looks = min(n_looks, table.n_buckets);
	for (; n_looks; n_looks--) {
		unsigned long i = READ_ONCE(table.cursor) & (table.n_buckets - 1);

		/* Whoever else sweeps makes us pass over a bucket; that comes round again too. */
		WRITE_ONCE(table.cursor, i + 1);
		if (!hlist_empty(&table.buckets[i]))
			n_given += sweep_bucket(&table.buckets[i], &unused, wait);
		cond_resched();
	}
	release_all(&unused);
	stats_add(STAT_FRAMES_GIVEN_BACK, n_given);
	return n_given;
}

/**
 * frames_init() - make the table
 *
 * Return: 0 or -ENOMEM.
 */
int frames_init(void)
{
	unsigned long n_wanted = clamp(frames_max() / 2, 1024UL, BUCKETS_MAX);

	table.n_buckets = roundup_pow_of_two(n_wanted);
	table.buckets = kvcalloc(table.n_buckets, sizeof(*table.buckets), GFP_KERNEL);
	if (!table.buckets)
		return -ENOMEM;
	table.seed = get_random_u64();
	return 0;
}

/**
 * frames_exit() - forget all frames; those that are mapped stay with who maps them
 */
void frames_exit(void)
{
	for (unsigned long i = 0; i < table.n_buckets; i++) {
		release_all(&table.buckets[i]);
		cond_resched();
	}
	kvfree(table.buckets);
	owners_exit();
}
