// SPDX-License-Identifier: GPL-2.0-only
/*
 * MERGEMOD_MERGE: groups of pages that should be equal.
 *
 * Elements go in batches of one target, in two steps. The first looks, with the target's
 * memory locked for reading: is there a page, may it be merged, is it full of zeros, is
 * there a frame for its group? If not, one is made as a copy of the page. The second step
 * freezes runs of neighbours, compares each page with its frame, and replaces those that are
 * equal. What the first step saw may be outdated by then; only that compare counts.
 *
 * The second step locks the memory for reading too: page faults go on meanwhile, except for
 * those on a frozen page. Whoever else changes the page table then is noticed under its lock.
 * For writing the memory is only locked where an area must not get huge pages any more.
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

/* Longest time for which a target's memory should be locked: as long as a few page faults. */
#define LOCK_NSEC (500 * NSEC_PER_USEC)
#define BATCH_MIN 4

static int merge_frozen(struct merger *merger, struct candidate *candidate, unsigned int i)
{
	struct page *page = frozen_page(&merger->freezer, i);
	struct group *group = candidate->group;
	int r;

	if (!page)
		return -EBUSY;
	if (candidate->zero) {
		if (!page_is_zeros(page))
			return -ESTALE;
		r = frozen_replace(&merger->freezer, i, NULL);
	} else {
		if (PageHWPoison(group->page))
			return -EHWPOISON;
		if (group_is_full(group))
			return -EAGAIN;
		if (!page_equal(page, group->page))
			return -ESTALE;
		r = frozen_replace(&merger->freezer, i, group->page);
		if (!r)
			merger->call->new_frames += group_publish(group);
	}
	if (r)
		return r;
	get_page(page);
	candidate->merged = page;
	return 0;
}

/* How many of the candidates from @first on are neighbours in @vma. */
static unsigned int run_length(const struct merger *merger, unsigned int first,
			       const struct vm_area_struct *vma)
{
	const struct candidate *candidates = merger->candidates;
	unsigned int n = 0;

	while (first + n < merger->n && candidates[first + n].status == PENDING &&
	       candidates[first + n].address == candidates[first].address + n * PAGE_SIZE &&
	       candidates[first + n].address < vma->vm_end)
		n++;
	return n;
}

/* Looks once more, shortly before: freezing a huge page would split it. */
static unsigned int check_run(struct merger *merger, unsigned int first, struct vm_area_struct *vma,
			      unsigned int n)
{
	struct mapping mapping;

	for (unsigned int i = 0; i < n; i++) {
		struct candidate *candidate = &merger->candidates[first + i];
		int r = check_at(vma, candidate->address, &mapping);

		if (r) {
			candidate->status = r;
			return i;
		}
		walk_release(&mapping, 1);
	}
	return n;
}

static void merge_run(struct merger *merger, unsigned int first, unsigned int n, struct vm_area_struct *vma)
{
	struct candidate *candidates = &merger->candidates[first];
	int r;

	r = freeze(&merger->freezer, vma, candidates[0].address, n);
	for (unsigned int i = 0; i < n; i++)
		candidates[i].status = r ?: merge_frozen(merger, &candidates[i], i);
	if (!r)
		thaw(&merger->freezer);
}

/* Returns how many candidates are settled. */
static unsigned int merge_from(struct merger *merger, unsigned int first)
{
	struct candidate *candidate = &merger->candidates[first];
	struct vm_area_struct *vma;
	unsigned int n;

	if (candidate->status != PENDING)
		return 1;
	vma = area_at(merger->use.mm, candidate->address);
	candidate->status = vma ? area_check(vma) : -EFAULT;
	if (!candidate->status && area_gets_huge(vma))
		candidate->status = -E2BIG;
	if (candidate->status)
		return 1;
	candidate->status = PENDING;

	n = check_run(merger, first, vma, run_length(merger, first, vma));
	if (n)
		merge_run(merger, first, n, vma);
	return max(n, 1U);
}

static int merge_all(struct merger *merger)
{
	struct mm_struct *mm = merger->use.mm;
	u64 start, held;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	start = ktime_get_ns();
	for (unsigned int i = 0; i < merger->n && !check_stable_address_space(mm);)
		i += merge_from(merger, i);
	held = ktime_get_ns() - start;
	mmap_read_unlock(mm);

	stats_lock_held(held);
	if (held > LOCK_NSEC && merger->session->batch_pages > BATCH_MIN)
		merger->session->batch_pages /= 2;
	else if (held < LOCK_NSEC / 4 && merger->session->batch_pages < FREEZE_MAX)
		merger->session->batch_pages *= 2;
	return 0;
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
	struct mem_cgroup *memcg, *old;
	int r;

	/* Whoever has the first page of a group pays for the frame. */
	memcg = get_mem_cgroup_from_mm(merger->use.mm);
	old = set_active_memcg(memcg);
	merger->huge = false;
	r = look_at_all(merger);
	if (!r && merger->call->huge == MERGEMOD_HUGE_SPLIT)
		r = split_all(merger) ?: look_at_all(merger);
	groups_free_spare(&merger->groups);
	set_active_memcg(old);
	mem_cgroup_put(memcg);

	if (!r)
		r = forbid_huge(merger) ?: merge_all(merger);
	if (!r)
		count_batch(merger);
	return r;
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

	r = target_enter(&merger->session->targets, merger->elements[0].target, &merger->rule, &merger->use);
	if (r == -EINTR)
		return r;
	if (r) {
		set_status(merger, r);
		return 0;
	}
	r = merge_target(merger);
	target_leave(&merger->use);
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
