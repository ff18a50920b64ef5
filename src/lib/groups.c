/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/domain.h"
#include "lib/group.h"
#include "lib/hash.h"
#include "lib/merge.h"
#include "lib/scan.h"
#include "lib/target.h"

/* Round numbers of domains; 0 is everybody's. */
#define ONE_FOR_ALL 0U

struct member {
        struct mm_target *target; /* owned */
        uint32_t domain;
        uint64_t next; /* its spans hold from here on */
};

struct mm_groups {
        struct mm_ctx *ctx; /* owned */
        struct mm_merge_options options;
        struct mm_records *records;
        struct mm_scan scan;
        struct member *members; /* by the number in their records */
        size_t n_members, allocated;
        uint32_t n_domains;
        bool closed; /* sorted: nothing can be added */
        size_t next;
        struct mm_group group; /* the one that was told last */
};
DEFINE_CLEANUP_FUNC(struct mm_groups *, mm_groups_free)

static void forget_members(struct mm_groups *g)
{
        for (size_t i = 0; i < g->n_members; i++)
                mm_target_unref(g->members[i].target);
        g->n_members = 0;
        g->n_domains = ONE_FOR_ALL;
}

static int start_scan(struct mm_groups *g)
{
        uint64_t seed;
        int r;

        r = mm_hash_seed(&seed);
        if (r >= 0)
                r = mm_scan_init(&g->scan, g->records, g->ctx->proc_fd, seed);
        g->scan.direct = true;
        return r;
}

_public_ int mm_groups_new(struct mm_ctx *ctx, const struct mm_merge_options *options, uint64_t max_bytes,
                           struct mm_groups **ret)
{
        _cleanup_(mm_groups_freep) struct mm_groups *g = NULL;
        int r;

        r = mm_merge_options_check(&options);
        if (r < 0)
                return r;
        g = calloc(1, sizeof(*g));
        if (!g)
                return -ENOMEM;
        g->ctx = mm_ctx_ref(ctx);
        g->options = *options;
        r = mm_records_new(max_bytes, &g->records);
        if (r >= 0)
                r = start_scan(g);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(g);
        return 0;
}

_public_ struct mm_groups *mm_groups_free(struct mm_groups *g)
{
        if (!g)
                return NULL;
        forget_members(g);
        free(g->members);
        mm_scan_done(&g->scan);
        mm_records_free(g->records);
        mm_ctx_unref(g->ctx);
        free(g);
        return NULL;
}

_public_ int mm_groups_clear(struct mm_groups *g)
{
        int r;

        forget_members(g);
        mm_records_clear(g->records);
        mm_scan_done(&g->scan);
        g->next = 0;
        g->group = (struct mm_group) {};
        r = start_scan(g);
        g->closed = r < 0;
        return r;
}

static bool is_one_domain(const struct mm_groups *g, const struct mm_target *a, const struct mm_target *b)
{
        if (g->options.domain == MM_DOMAIN_USER)
                return mm_domain_is_equal(&a->process, &b->process);
        return mm_domain_has_equal_namespaces(&a->process, &b->process);
}

static uint32_t find_domain(struct mm_groups *g, const struct mm_target *t)
{
        if (g->options.domain == MM_DOMAIN_SESSION || g->options.domain == MM_DOMAIN_SYSTEM)
                return ONE_FOR_ALL;
        for (size_t i = 0; i < g->n_members; i++)
                if (is_one_domain(g, g->members[i].target, t))
                        return g->members[i].domain;
        return ++g->n_domains;
}

static int add_member(struct mm_groups *g, struct mm_target *t, size_t *ret)
{
        struct member *members;

        for (size_t i = g->n_members; i-- > 0;)
                if (g->members[i].target == t) {
                        *ret = i;
                        return 0;
                }
        if (g->n_members == MM_TARGETS_MAX)
                return -ENOBUFS;
        if (g->n_members == g->allocated) {
                size_t allocated = MAX(g->allocated * 2, (size_t) 16);

                members = reallocarray(g->members, allocated, sizeof(*members));
                if (!members)
                        return -ENOMEM;
                g->members = members;
                g->allocated = allocated;
        }
        g->members[g->n_members] = (struct member) {
                .target = mm_target_ref(t),
                .domain = find_domain(g, t),
                .next = UINT64_MAX,
        };
        *ret = g->n_members++;
        return 0;
}

/* What can be merged in the range. */
static int scan_spans(struct mm_groups *g, uint32_t index, uint64_t start, uint64_t end, uint64_t owner)
{
        const struct mm_target *t = g->members[index].target;
        struct mm_scan_target memory = {
                .pagemap = t->pagemap,
                .mem_fd = t->mem_fd,
                .index = index,
                .domain = g->members[index].domain,
        };
        bool full = false;

        for (size_t i = 0; i < t->n_spans; i++) {
                uint64_t from = MAX(t->spans[i].start, start), to = MIN(t->spans[i].end, end);
                int r;

                if (from >= to)
                        continue;
                r = mm_scan_range(&g->scan, &memory, from, to, owner, false, NULL, NULL);
                full = full || r == -ENOBUFS;
                if (r < 0 && r != -ENOBUFS)
                        return r;
        }
        return full ? -ENOBUFS : 0;
}

_public_ int mm_groups_scan(struct mm_groups *g, struct mm_target *t, uint64_t start, uint64_t end,
                            uint64_t owner)
{
        size_t index;
        int r;

        if ((start | end) % MM_PAGE_SIZE != 0 || start > end || t->ctx != g->ctx)
                return -EINVAL;
        if (g->closed)
                return -EBUSY;
        r = mm_target_open_memory(t);
        if (r >= 0)
                r = add_member(g, t, &index);
        if (r < 0)
                return r;
        /* Who goes through the areas of a process need not have them read for each. */
        if (start < g->members[index].next || !t->spans_filtered) {
                r = mm_target_read_spans(t, true);
                if (r < 0)
                        return r;
        }
        g->members[index].next = end;
        return scan_spans(g, (uint32_t) index, start, end, owner);
}

static int map_count(void *userdata, uint32_t frame, uint64_t *ret)
{
        const struct mm_groups *g = userdata;

        return mm_kpage_count(&g->ctx->kpage, frame, ret);
}

_public_ int mm_groups_next(struct mm_groups *g, struct mm_group_info *ret)
{
        struct mm_group group;

        if (!g->closed)
                mm_records_sort(g->records);
        g->closed = true;
        do {
                size_t next = mm_group_next(g->records, g->next, map_count, g, &group);

                if (next == 0)
                        return 0;
                g->next = next;
        } while (group.n_pages < 2 && !group.zero);
        g->group = group;
        *ret = (struct mm_group_info) {
                .pages = group.n_pages,
                .frames = group.n_frames,
                .freeable = group.n_freeable,
                .saving = mm_group_saving(&group, 0, true),
                .zero = group.zero,
        };
        return 1;
}

_public_ int mm_groups_get_page(const struct mm_groups *g, size_t i, struct mm_target **ret_target,
                                uint64_t *ret_address)
{
        if (i >= g->group.n_pages)
                return -ERANGE;
        *ret_target = g->members[g->group.records[i].target].target;
        *ret_address = (uint64_t) g->group.records[i].page * MM_PAGE_SIZE;
        return 0;
}

_public_ int mm_groups_plan(struct mm_groups *g)
{
        if (g->group.n_pages == 0)
                return -ERANGE;
        for (size_t i = 0; i < g->group.n_pages; i++)
                g->group.records[i].flags |= MM_RECORD_PLANNED;
        return 0;
}

struct merging {
        struct mm_groups *groups;
        struct mm_merger *merger;
        struct mm_merge_result result;
};

static int on_merged(void *userdata, const struct mergemod_element *elements, size_t n,
                     const struct mergemod_merge *sum)
{
        struct merging *m = userdata;

        for (size_t i = 0; i < n; i++)
                m->result.refused += elements[i].status < 0;
        mm_merge_result_add(&m->result, sum);
        return 0;
}

static void on_gone(void *userdata, uint32_t target)
{
        struct merging *m = userdata;

        mm_target_forget_number(m->groups->ctx, target);
}

static int add_record(struct merging *m, const struct mm_record *record)
{
        struct mm_device *device;
        uint32_t target;
        int r;

        r = mm_target_meet(m->groups->members[record->target].target, &device, &target);
        if (r < 0) {
                m->result.refused++;
                return r == -ENOMEM ? r : 0;
        }
        return mm_merger_add(m->merger, target, (uint64_t) record->page * MM_PAGE_SIZE);
}

static int merge_planned(struct merging *m)
{
        struct mm_record *items = mm_records_items(m->groups->records);
        size_t n = mm_records_count(m->groups->records);
        int r = 0;

        for (size_t i = 0, next; i < n && r >= 0; i = next) {
                for (next = i + 1; next < n && items[next].key == items[i].key;)
                        next++;
                if (!(items[i].flags & MM_RECORD_PLANNED))
                        continue;
                r = mm_merger_begin_group(m->merger, next - i);
                for (size_t k = i; k < next && r >= 0; k++) {
                        items[k].flags &= ~MM_RECORD_PLANNED & 0xffU;
                        r = add_record(m, &items[k]);
                }
        }
        return r < 0 ? r : mm_merger_finish(m->merger);
}

_public_ int mm_groups_merge(struct mm_groups *g, struct mm_merge_result *ret)
{
        static const struct mm_merger_events events = { .merged = on_merged, .gone = on_gone };
        _cleanup_(mm_merger_freep) struct mm_merger *merger = NULL;
        struct merging m = { .groups = g };
        int r;

        r = mm_merge_new_merger(g->ctx, &g->options, &events, &m, &merger);
        if (r < 0)
                return r;
        m.merger = merger;
        if (g->closed)
                r = merge_planned(&m);
        if (r < 0)
                return r;
        if (ret)
                *ret = m.result;
        return 0;
}
