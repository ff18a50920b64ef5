/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/merge.h"

#include "lib/hash.h"
#include "lib/target.h"

/* What a page has before mergemod has said something of it. */
#define NO_STATUS INT32_MIN

/* A page of the caller's, and where it is found again. */
struct entry {
        struct mm_merge_page *page;
        uint32_t target; /* number with mergemod */
};

struct merge {
        struct mm_ctx *ctx;
        struct entry *entries; /* by target, then address */
        size_t n;
        struct mm_merge_result result;
};

int mm_merge_options_check(const struct mm_merge_options **options)
{
        static const struct mm_merge_options default_options = { .cgroup_fd = -1 };
        const struct mm_merge_options *o = *options ?: &default_options;

        for (size_t i = 0; i < ELEMENTSOF(o->reserved); i++)
                if (o->reserved[i] != 0)
                        return -EINVAL;
        if ((unsigned) o->domain > MM_DOMAIN_SYSTEM || (unsigned) o->huge > MM_HUGE_SPLIT ||
            (o->domain == MM_DOMAIN_CGROUP && o->cgroup_fd < 0))
                return -EINVAL;
        *options = o;
        return 0;
}

int mm_merge_new_merger(struct mm_ctx *ctx, const struct mm_merge_options *options,
                        const struct mm_merger_events *events, void *userdata, struct mm_merger **ret)
{
        const struct mm_device_domain domain = {
                .kind = (enum mergemod_domain) options->domain,
                .cgroup_fd = options->domain == MM_DOMAIN_CGROUP ? options->cgroup_fd : -1,
                .zero_only = options->zero_only != 0,
        };
        struct mm_device *device;
        int r;

        r = mm_ctx_device(ctx, &device);
        return r < 0 ? r : mm_merger_new(device, &domain, (enum mergemod_huge) options->huge, events,
                                         userdata, ret);
}

void mm_merge_result_add(struct mm_merge_result *result, const struct mergemod_merge *sum)
{
        result->merged += sum->merged;
        result->zero_merged += sum->zero_merged;
        result->freed += sum->freed;
        result->new_frames += sum->new_frames;
}

static int compare_entries(const void *a, const void *b)
{
        const struct entry *x = a, *y = b;

        if (x->target != y->target)
                return x->target < y->target ? -1 : 1;
        return x->page->address < y->page->address ? -1 : x->page->address > y->page->address;
}

static int compare_groups(const void *a, const void *b)
{
        const struct entry *x = a, *y = b;

        return x->page->group < y->page->group ? -1 : x->page->group > y->page->group;
}

/* One page may have been given several times. */
static void set_status(struct merge *m, const struct mergemod_element *e)
{
        size_t low = 0, high = m->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const struct entry *entry = &m->entries[middle];

                if (entry->target < e->target ||
                    (entry->target == e->target && entry->page->address < e->address))
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; low < m->n && m->entries[low].target == e->target &&
               m->entries[low].page->address == e->address;
             low++)
                if (m->entries[low].page->status == NO_STATUS) {
                        m->entries[low].page->status = e->status;
                        break;
                }
}

static int on_merged(void *userdata, const struct mergemod_element *elements, size_t n,
                     const struct mergemod_merge *sum)
{
        struct merge *m = userdata;

        for (size_t i = 0; i < n; i++)
                set_status(m, &elements[i]);
        mm_merge_result_add(&m->result, sum);
        return 0;
}

static void on_gone(void *userdata, uint32_t target)
{
        struct merge *m = userdata;

        mm_target_forget_number(m->ctx, target);
}

/* Of pages whose process can be had: the others get their status. */
static int find_entries(struct merge *m, struct mm_merge_page *pages, size_t n)
{
        m->entries = calloc(MAX(n, (size_t) 1), sizeof(*m->entries));
        if (!m->entries)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                struct mm_device *device;
                uint32_t target;
                int r;

                r = mm_target_meet(pages[i].target, &device, &target);
                pages[i].status = r < 0 ? r : NO_STATUS;
                if (r >= 0)
                        m->entries[m->n++] = (struct entry) { .page = &pages[i], .target = target };
        }
        return 0;
}

static int merge_groups(struct mm_merger *merger, const struct entry *entries, size_t n)
{
        int r = 0;

        for (size_t i = 0, next; i < n && r >= 0; i = next) {
                for (next = i + 1; next < n && entries[next].page->group == entries[i].page->group;)
                        next++;
                r = mm_merger_begin_group(merger, next - i);
                for (size_t k = i; k < next && r >= 0; k++)
                        /* Its number may have become another's. */
                        if (!entries[k].page->target->gone)
                                r = mm_merger_add(merger, entries[k].target, entries[k].page->address);
        }
        return r < 0 ? r : mm_merger_finish(merger);
}

static int merge(struct merge *m, const struct mm_merge_options *options)
{
        static const struct mm_merger_events events = { .merged = on_merged, .gone = on_gone };
        _cleanup_(mm_merger_freep) struct mm_merger *merger = NULL;
        _cleanup_(freep) struct entry *by_group = NULL;
        int r;

        by_group = calloc(MAX(m->n, (size_t) 1), sizeof(*by_group));
        if (!by_group)
                return -ENOMEM;
        memcpy(by_group, m->entries, m->n * sizeof(*by_group));
        qsort(by_group, m->n, sizeof(*by_group), compare_groups);
        qsort(m->entries, m->n, sizeof(*m->entries), compare_entries);
        r = mm_merge_new_merger(m->ctx, options, &events, m, &merger);
        return r < 0 ? r : merge_groups(merger, by_group, m->n);
}

_public_ int mm_ctx_merge(struct mm_ctx *ctx, const struct mm_merge_options *options,
                          struct mm_merge_page *pages, size_t n, struct mm_merge_result *ret)
{
        struct merge m = { .ctx = ctx };
        int r;

        r = mm_merge_options_check(&options);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (!pages[i].target || pages[i].target->ctx != ctx || pages[i].group >= n)
                        return -EINVAL;
        r = mm_ctx_check_module(ctx);
        if (r >= 0)
                r = find_entries(&m, pages, n);
        if (r >= 0)
                r = merge(&m, options);
        free(m.entries);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (pages[i].status == NO_STATUS)
                        pages[i].status = -ESRCH;
                m.result.refused += pages[i].status < 0;
        }
        if (ret)
                *ret = m.result;
        return 0;
}

struct unmerge_call {
        struct mergemod_range range;
        uint32_t flags;
};

static int unmerge(struct mm_device *device, uint32_t target, void *argument)
{
        struct unmerge_call *call = argument;
        int r;

        call->range.target = target;
        r = mm_device_unmerge(device, &call->range, 1, call->flags);
        return r < 0 ? r : call->range.status;
}

_public_ int mm_target_unmerge(struct mm_target *t, uint64_t start, uint64_t end, unsigned int flags,
                               uint64_t *ret_pages)
{
        struct unmerge_call call = { .range = { .start = start, .end = end }, .flags = flags };
        int r;

        if ((start | end) % MM_PAGE_SIZE != 0 || start >= end ||
            (flags & ~(MM_UNMERGE_ZERO | MM_UNMERGE_SINGLE)) != 0)
                return -EINVAL;
        r = mm_target_call(t, unmerge, &call);
        if (r < 0)
                return r;
        if (ret_pages)
                *ret_pages = call.range.pages;
        return 0;
}

#define SAME(a, b) _Static_assert((int) (a) == (int) (b), "handed on as it is")
SAME(MM_DOMAIN_USER, MERGEMOD_DOMAIN_USER);
SAME(MM_DOMAIN_CGROUP, MERGEMOD_DOMAIN_CGROUP);
SAME(MM_DOMAIN_SESSION, MERGEMOD_DOMAIN_SESSION);
SAME(MM_DOMAIN_SYSTEM, MERGEMOD_DOMAIN_SYSTEM);
SAME(MM_HUGE_KEEP, MERGEMOD_HUGE_KEEP);
SAME(MM_HUGE_AUTO, MERGEMOD_HUGE_AUTO);
SAME(MM_HUGE_SPLIT, MERGEMOD_HUGE_SPLIT);
SAME(MM_UNMERGE_ZERO, MERGEMOD_UNMERGE_ZERO);
SAME(MM_UNMERGE_SINGLE, MERGEMOD_UNMERGE_SINGLE);
