// SPDX-License-Identifier: GPL-2.0-only
/*
 * MERGEMOD_MERGE: groups of pages that should be equal.
 *
 * Elements go in batches of one target, in two steps. The first looks: is there a page, may it
 * be merged, is it full of zeros, is there a frame for its group? If not, an empty one is made.
 * The second step freezes runs of neighbours. The first page of a group is copied to its frame,
 * unless others share such a frame already; the rest are compared with it, and those that are
 * equal are replaced. What the first step saw may be outdated by then; only that compare counts.
 *
 * Both lock the memory for reading: page faults go on meanwhile, except for those on a frozen
 * page. Whoever else changes the page table is noticed under its lock. For writing the memory is
 * only locked where an area must not get huge pages any more; then all begins anew.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "area.h"
#include "compat.h"
#include "merger.h"
#include "page.h"
#include "session.h"
#include "stats.h"
#include "target.h"
#include "walk.h"

/* Longest time for which a target's memory should be locked, and pages frozen. */
#define LOCK_NSEC (2 * NSEC_PER_MSEC)
#define BATCH_MIN 4

/**
 * merge_as_zeros() - may a page be replaced by the kernel's page of zeros?
 * @merger: the call
 * @page: the page
 */
bool merge_as_zeros(const struct merger *merger, struct page *page)
{
	return page_is_zeros(page) && !mm_forbids_zeropage(merger->use.mm);
}

/* Which is zero, or the group's frame. What goes neither way has its status. */
static int find_frame(struct merger *merger, struct candidate *candidate, struct page *page)
{
	struct group *group = candidate->group;
	int r;

	candidate->zero = !group->page && merge_as_zeros(merger, page);
	if (candidate->zero)
		return 0;
	/* It was zeros when it was looked at. */
	if (!group->page && !group->frame)
		return -ESTALE;
	r = group_accept(&merger->groups, group, &merger->use, page);
	if (r == -ESTALE && merge_as_zeros(merger, page)) {
		candidate->zero = true;
		return 0;
	}
	return r;
}

static int choose(struct merger *merger, struct candidate *candidate, unsigned int i)
{
	struct page *page = frozen_page(&merger->freezer, i);
	int r;

	if (!page)
		return -EBUSY;
	r = find_frame(merger, candidate, page);
	if (!r)
		merger->freezer.frames[i] = candidate->zero ? ZERO_PAGE(candidate->address) :
							      candidate->group->page;
	return r;
}

static int settle(struct merger *merger, struct candidate *candidate, unsigned int i)
{
	int r = merger->freezer.results[i];

	if (r < 0)
		return r;
	if (!candidate->zero)
		merger->call->new_frames += group_publish(candidate->group);
	if (r == 0) {
		candidate->merged = migrate_pfn_to_page(merger->freezer.src[i]);
		get_page(candidate->merged);
	}
	return 0;
}

static void merge_run(struct merger *merger, unsigned int first, unsigned int n, struct vm_area_struct *vma)
{
	struct candidate *candidates = &merger->candidates[first];
	int r;

	r = freeze(&merger->freezer, vma, candidates[0].address, n);
	for (unsigned int i = 0; i < n; i++)
		candidates[i].status = r ?: choose(merger, &candidates[i], i);
	if (r)
		return;
	frozen_replace(&merger->freezer);
	area_was_merged(vma);
	for (unsigned int i = 0; i < n; i++)
		if (!candidates[i].status)
			candidates[i].status = settle(merger, &candidates[i], i);
	thaw(&merger->freezer);
}

/* Returns how many candidates are settled. */
static unsigned int merge_from(struct merger *merger, unsigned int first)
{
	struct vm_area_struct *vma = find_area(merger, first);
	unsigned int n;

	if (!vma)
		return 1;
	/* It has changed since. */
	if (area_gets_huge(vma)) {
		merger->candidates[first].status = area_fits_huge(vma) ? -E2BIG : -EAGAIN;
		return 1;
	}
	n = walk_count_ready(vma, merger->candidates[first].address, run_length(merger, first, vma));
	if (!n) {
		look_again(merger, first, vma);
		return 1;
	}
	merge_run(merger, first, n, vma);
	return n;
}

static void adapt_batch(struct session *session, u64 held)
{
	if (held > LOCK_NSEC && session->batch_pages > BATCH_MIN)
		session->batch_pages /= 2;
	else if (held < LOCK_NSEC / 4 && session->batch_pages < FREEZE_MAX)
		session->batch_pages *= 2;
}

static bool wants_split(const struct merger *merger)
{
	for (unsigned int i = 0; i < merger->n; i++)
		if (merger->candidates[i].status == -E2BIG)
			return true;
	return false;
}

/* Raises *@longest to how long the target's memory was locked. */
static int look_and_merge_once(struct merger *merger, bool may_split, bool may_forbid, u64 *longest)
{
	struct mm_struct *mm = merger->use.mm;
	u64 start, held;
	int r;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	start = ktime_get_ns();
	look_at_all(merger);
	r = !(may_split && wants_split(merger)) && !(may_forbid && merger->huge);
	if (r)
		for (unsigned int i = 0; i < merger->n && !check_stable_address_space(mm);)
			i += merge_from(merger, i);
	held = ktime_get_ns() - start;
	mmap_read_unlock(mm);
	stats_lock_held(held);
	*longest = max(*longest, held);
	return r;
}

/*
 * Both steps. Returns 1, or 0 if the second was left out because huge pages should be split
 * first, or be forbidden in an area. What takes memory that is not to be had at once is done a
 * second time, so that the target does not wait for reclaim.
 */
static int look_and_merge(struct merger *merger, bool may_split, bool may_forbid)
{
	u64 longest = 0;
	int r;

	r = look_and_merge_once(merger, may_split, may_forbid, &longest);
	if (r >= 0 && make_frames(merger) && r)
		r = look_and_merge_once(merger, may_split, may_forbid, &longest);
	if (longest)
		adapt_batch(merger->session, longest);
	return r;
}

/* After thaw(): who still maps the pages that were replaced is known only now. */
static void count_batch(struct merger *merger)
{
	unsigned long merged = 0, zero = 0, freed = 0;

	for (unsigned int i = 0; i < merger->n; i++) {
		struct candidate *candidate = &merger->candidates[i];

		if (candidate->status == PENDING)
			candidate->status = -ESRCH;
		if (candidate->status) {
			stats_add_status(candidate->status);
			continue;
		}
		merged++;
		zero += candidate->zero;
		if (!candidate->merged) {
			freed++;
			continue;
		}
		freed += !folio_mapped(page_folio(candidate->merged));
		put_page(candidate->merged);
	}
	merger->call->merged += merged;
	merger->call->zero_merged += zero;
	merger->call->freed += freed;
	stats_add(STAT_MERGED, merged);
	stats_add(STAT_ZERO_MERGED, zero);
	stats_add(STAT_FREED, freed);
}

static int merge_target(struct merger *merger)
{
	bool may_split = merger->call->huge == MERGEMOD_HUGE_SPLIT;
	struct mem_cgroup *memcg, *old;
	int r;

	/* Whoever has the first page of a group pays for the frame. */
	memcg = get_mem_cgroup_from_mm(merger->use.mm);
	old = set_active_memcg(memcg);
	r = look_and_merge(merger, may_split, true);
	if (!r && may_split)
		r = split_all(merger) ?: look_and_merge(merger, false, true);
	if (!r)
		r = forbid_huge(merger) ?: look_and_merge(merger, false, false);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	/* What was merged before a signal came is merged, and its pages are still held. */
	count_batch(merger);
	return min(r, 0);
}

static void set_status(struct merger *merger, int status)
{
	for (unsigned int i = 0; i < merger->n; i++) {
		merger->candidates[i].status = status;
		stats_add_status(status);
	}
}

static int merge_batch(struct merger *merger)
{
	int r;

	for (unsigned int i = 0; i < merger->n; i++) {
		const struct mergemod_element *element = &merger->elements[i];
		bool fits = element->group < merger->call->n_elements && !element->reserved &&
			    IS_ALIGNED(element->address, PAGE_SIZE) && element->address < TASK_SIZE_MAX;

		merger->candidates[i] = (struct candidate){
			.address = element->address,
			.group = fits ? &merger->groups.items[element->group] : NULL,
			.status = fits ? PENDING : -EINVAL,
		};
	}

	/* They are charged to another. */
	if (merger->spares_target != merger->elements[0].target)
		groups_free_spares(&merger->groups);
	merger->spares_target = merger->elements[0].target;
	r = target_enter(&merger->session->targets, merger->elements[0].target, &merger->rule, &merger->use);
	if (r == -EINTR)
		return r;
	if (r) {
		set_status(merger, r);
		return 0;
	}
	r = merge_target(merger);
	target_leave(&merger->use);
	for (unsigned int i = 0; i < merger->n; i++)
		if (merger->candidates[i].group)
			group_recall(&merger->groups, merger->candidates[i].group);
	return r;
}

/* Fetches the next elements, as far as they are of one target. */
static int fetch_batch(struct merger *merger)
{
	struct mergemod_element __user *user = u64_to_user_ptr(merger->call->elements);
	unsigned int n = min(merger->call->n_elements - merger->call->done, merger->session->batch_pages);

	if (copy_from_user(merger->elements, user + merger->call->done, n * sizeof(*user)))
		return -EFAULT;
	merger->n = 1;
	while (merger->n < n && merger->elements[merger->n].target == merger->elements[0].target)
		merger->n++;
	return 0;
}

static int report_batch(struct merger *merger)
{
	struct mergemod_element __user *user = u64_to_user_ptr(merger->call->elements);

	user += merger->call->done;
	for (unsigned int i = 0; i < merger->n; i++)
		if (put_user(merger->candidates[i].status, &user[i].status))
			return -EFAULT;
	merger->call->done += merger->n;
	return 0;
}

static int merge_elements(struct merger *merger)
{
	int r = 0;

	while (!r && merger->call->done < merger->call->n_elements) {
		if (signal_pending(current)) {
			r = -EINTR;
			break;
		}
		r = fetch_batch(merger) ?: merge_batch(merger) ?: report_batch(merger);
		cond_resched();
	}
	return merger->call->done ? 0 : r;
}

static int take_cgroup(struct mergemod_merge *call, struct domain_rule *rule)
{
	struct cgroup *cgroup;

	if (call->domain != MERGEMOD_DOMAIN_CGROUP)
		return call->cgroup_fd == -1 ? 0 : -EINVAL;
	cgroup = cgroup_get_from_fd(call->cgroup_fd);
	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup);
	rule->cgroup = cgroup;
	return 0;
}

/**
 * merge_call() - MERGEMOD_MERGE
 * @session: whose call
 * @call: its argument
 *
 * Return: 0 or a negative errno, see the interface.
 */
int merge_call(struct session *session, struct mergemod_merge *call)
{
	struct merger *merger;
	int r;

	if (call->flags & ~MERGEMOD_MERGE_ZERO_ONLY || call->domain > MERGEMOD_DOMAIN_SYSTEM ||
	    call->huge > MERGEMOD_HUGE_SPLIT || !call->n_elements ||
	    call->n_elements > MERGEMOD_ELEMENTS_MAX)
		return -EINVAL;
	call->done = 0;
	call->merged = 0;
	call->zero_merged = 0;
	call->freed = 0;
	call->new_frames = 0;

	merger = kvzalloc(sizeof(*merger), GFP_KERNEL);
	if (!merger)
		return -ENOMEM;
	merger->session = session;
	merger->call = call;
	merger->rule = (struct domain_rule){
		.kind = call->domain,
		.narrow = call->narrow,
		.session = session->secret,
	};
	r = take_cgroup(call, &merger->rule);
	if (r)
		goto free_merger;
	r = groups_init(&merger->groups, call->n_elements);
	if (r)
		goto put_cgroup;
	r = merge_elements(merger);
	groups_exit(&merger->groups);
put_cgroup:
	if (merger->rule.cgroup)
		cgroup_put(merger->rule.cgroup);
free_merger:
	kvfree(merger);
	return r;
}
