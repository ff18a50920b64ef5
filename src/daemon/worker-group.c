/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/kernel-page-flags.h>

#include "daemon/worker-child.h"
#include "lib/ksm-frame.h"

/* Ranges that the service is told of in one plan for mergemod, which merges page by page. */
#define EXACT_RANGES_MAX 131072U

/* Planned pages of one area that are at most 2 MiB apart are registered in one range: more ranges
 * split the area into more areas, wider ranges make KSM keep 64 bytes for pages that gain nothing. */
#define RANGE_GAP_PAGES 512U

/* Rows between two looks at the clock. */
#define TICK_RECORDS 4096U

struct totals {
        uint64_t n_duplicates, n_zero, n_anonymous, n_huge;
};

static int mapcount(void *userdata, uint32_t frame, uint64_t *ret)
{
        const struct round *r = userdata;

        return mm_kpage_count(&r->scan.kpage, frame, ret);
}

/* What is found in areas that mergemod leaves to huge pages is a group of its own in a round for it. */
static bool group_is_huge(const struct round *r, const struct mm_group *g)
{
        return r->direct && (g->records[0].flags & MM_RECORD_HUGE) != 0;
}

/* Whether mergemod merges @g; else KSM does. */
static bool group_is_direct(const struct round *r, const struct mm_group *g)
{
        return r->direct && (g->records[0].flags & MM_RECORD_FILE_AREA) == 0;
}

/* What merging by KSM can do: without it there is no limit to sharing. */
struct limits {
        size_t max_sharing;
        bool zero_is_free;
};

static struct limits ksm_limits(const struct worker_child *w)
{
        struct mm_ksm_counters counters;

        if (w->ksm_fd < 0 || mm_ksm_read(w->ksm_fd, &counters) < 0)
                return (struct limits) {};
        /* A ksmd that runs already keeps the settings it has. */
        if (counters.run == 0 && w->round.use_zero_pages >= 0)
                counters.use_zero_pages = w->round.use_zero_pages;
        return (struct limits) { counters.max_page_sharing, counters.use_zero_pages };
}

static size_t group_saving(const struct round *r, const struct mm_group *g, struct limits ksm)
{
        if (group_is_direct(r, g))
                return mm_group_saving(g, 0, true);
        return mm_group_saving(g, ksm.max_sharing, ksm.zero_is_free);
}

/* How many records from @i on have the same frame. */
static size_t same_frame(const struct mm_group *g, size_t i)
{
        size_t n = 1;

        if (g->records[i].frame == 0)
                return 1;
        while (i + n < g->n_pages && g->records[i + n].frame == g->records[i].frame)
                n++;
        return n;
}

/* Sets MM_RECORD_FREEABLE where every mapping of the frame is in the group. */
static void mark_freeable(struct round *r, struct mm_group *g)
{
        for (size_t i = 0, n; i < g->n_pages; i += n) {
                bool freeable = (g->records[i].flags & MM_RECORD_EXCLUSIVE) != 0;
                uint64_t count;

                n = same_frame(g, i);
                if (g->records[i].frame == 0)
                        freeable = false;
                else if (!freeable)
                        freeable = mapcount(r, g->records[i].frame, &count) >= 0 && count <= n;
                if (!freeable)
                        continue;
                for (size_t k = 0; k < n; k++)
                        g->records[i + k].flags |= MM_RECORD_FREEABLE;
        }
}

static struct round_range *range_of(struct round *r, const struct mm_record *record)
{
        struct round_target *t = round_find_target(r, record->target);

        return t ? round_find_range(t, (uint64_t) record->page * MM_PAGE_SIZE) : NULL;
}

/* Writes a group's saving down to the owners whose frames would go. */
static void attribute(struct round *r, const struct mm_group *g, size_t saving, struct totals *t)
{
        for (size_t i = 0; i < g->n_pages && saving > 0; i += same_frame(g, i)) {
                const struct mm_record *record = &g->records[i];
                struct round_range *range;

                if ((record->flags & (MM_RECORD_FREEABLE | MM_RECORD_KSM)) != MM_RECORD_FREEABLE)
                        continue;
                saving--;
                if (group_is_huge(r, g)) {
                        t->n_huge++;
                        continue;
                }
                t->n_duplicates++;
                t->n_zero += g->zero;
                t->n_anonymous += (record->flags & (MM_RECORD_FILE_AREA | MM_RECORD_HUGE)) == 0;
                range = range_of(r, record);
                if (!range)
                        continue;
                range->n_duplicates++;
                range->n_zero += g->zero;
        }
}

/* One line per trust domain, by its index: whoever makes himself namespaces makes many. */
struct domain_figures {
        uint64_t n_duplicates, n_anonymous;
};

struct domains {
        struct domain_figures *items;
        size_t n;
};

static struct domain_figures *find_domain(struct domains *d, uint32_t domain)
{
        struct domain_figures *items;
        size_t n = (size_t) domain + 1;

        if (n > d->n) {
                n = MAX(n, d->n * 2);
                items = reallocarray(d->items, n, sizeof(*items));
                if (!items)
                        return NULL;
                memset(items + d->n, 0, (n - d->n) * sizeof(*items));
                d->items = items;
                d->n = n;
        }
        return &d->items[domain];
}

static void domains_done(struct domains *d)
{
        free(d->items);
}

static int send_domains(struct worker_child *w, const struct domains *d)
{
        for (size_t i = 0; i < d->n; i++) {
                union worker_packet row;
                int r;

                if (d->items[i].n_duplicates == 0)
                        continue;
                worker_packet_init(&row, WORKER_ROW_DOMAIN, sizeof(row.domain));
                row.domain.domain = (uint32_t) i;
                row.domain.n_duplicates = d->items[i].n_duplicates;
                row.domain.n_anonymous = d->items[i].n_anonymous;
                r = worker_child_send(w, &row);
                if (r < 0)
                        return r;
        }
        return 0;
}

int round_group(struct worker_child *w)
{
        _cleanup_(domains_done) struct domains domains = {};
        struct round *r = &w->round;
        struct totals totals = {};
        struct mm_group g;
        union worker_packet row;
        struct limits ksm = ksm_limits(w);
        size_t next, n_ticked = 0;
        int k;

        if (!r->scan_ready)
                return -EINVAL;
        mm_records_sort(r->records);
        for (size_t i = 0; (next = mm_group_next(r->records, i, mapcount, r, &g)) > 0; i = next) {
                struct round_target *t = round_find_target(r, g.records[0].target);
                struct domain_figures *d = find_domain(&domains, t ? t->domain : 0);
                struct totals before = totals;
                size_t saving;

                if (!d)
                        return -ENOMEM;
                saving = r->zero_only && !g.zero ? 0 : group_saving(r, &g, ksm);
                if (saving > 0) {
                        mark_freeable(r, &g);
                        attribute(r, &g, saving, &totals);
                        d->n_duplicates += totals.n_duplicates - before.n_duplicates;
                        d->n_anonymous += totals.n_anonymous - before.n_anonymous;
                        k = r->tell_groups ? round_send_group(w, &g, saving) : 0;
                        if (k < 0)
                                return k;
                }
                if (next - n_ticked >= TICK_RECORDS) {
                        n_ticked = next;
                        k = worker_child_tick(w);
                        if (k < 0)
                                return k;
                }
        }

        k = round_send_owners(w);
        if (k >= 0)
                k = round_send_parts(w);
        if (k < 0)
                return k;
        k = send_domains(w, &domains);
        if (k < 0)
                return k;
        worker_packet_init(&row, WORKER_ROW_TOTAL, sizeof(row.total));
        row.total.n_duplicates = totals.n_duplicates;
        row.total.n_zero = totals.n_zero;
        row.total.n_anonymous = totals.n_anonymous;
        row.total.n_huge = totals.n_huge;
        return worker_child_send(w, &row);
}

/* Marks the pages of a group. What mergemod is to merge gets the place of the group's first page as its
 * key, so that groups can be taken in the order of their places: neighbours are merged in one go. A page
 * whose frame has users elsewhere would free nothing there. */
static void mark_group(struct mm_group *g, bool direct)
{
        uint64_t first = UINT64_MAX;

        for (size_t n = 0; n < g->n_pages; n++) {
                struct mm_record *record = &g->records[n];

                first = MIN(first, (uint64_t) record->target << 36 | record->page);
                if (!direct || (record->flags & (MM_RECORD_KSM | MM_RECORD_FREEABLE)) == MM_RECORD_FREEABLE)
                        record->flags |= MM_RECORD_PLANNED;
        }
        for (size_t n = 0; direct && n < g->n_pages; n++)
                g->records[n].key = first;
}

/* Marks every page of every group that gains; the records are then in the order of places. */
static int mark_planned(struct worker_child *w, const struct worker_plan *plan)
{
        struct round *r = &w->round;
        struct limits ksm = ksm_limits(w);
        size_t next, n_ticked = 0;
        struct mm_group g;
        int k;

        /* There may have been one for mergemod before. */
        for (size_t i = 0; i < mm_records_count(r->records); i++)
                mm_records_items(r->records)[i].flags &= ~(unsigned) MM_RECORD_PLANNED;
        mm_records_sort(r->records);
        for (size_t i = 0; (next = mm_group_next(r->records, i, mapcount, r, &g)) > 0; i = next) {
                struct round_target *t = round_find_target(r, g.records[0].target);

                if (next - n_ticked >= TICK_RECORDS) {
                        n_ticked = next;
                        k = worker_child_tick(w);
                        if (k < 0)
                                return k;
                }
                if (!t || (!plan->every_domain && t->domain != plan->domain))
                        continue;
                if (r->direct && group_is_direct(r, &g) != plan->direct)
                        continue;
                if (plan->zero_only && !g.zero)
                        continue;
                if (group_saving(r, &g, ksm) > 0)
                        mark_group(&g, plan->direct);
        }
        mm_records_sort_by_place(r->records);
        return worker_child_tick(w);
}

/* The ranges of one process, sent as packets fill up. */
struct plan_ranges {
        struct worker_child *w;
        bool exact; /* page by page */
        size_t n_ranges;
        uint64_t n_scattered; /* pages left out for that */
        const struct round_range *last; /* that the last range lies in */
        union worker_packet row;
};

static int plan_ranges_flush(struct plan_ranges *p, const struct round_target *t)
{
        int r = 0;

        if (p->row.ranges.n > 0) {
                p->row.header.size =
                        (uint32_t) (sizeof(p->row.ranges) + p->row.ranges.n * sizeof(struct worker_range));
                r = worker_child_send(p->w, &p->row);
        }
        worker_packet_init(&p->row, WORKER_ROW_PLANNED, sizeof(p->row.ranges));
        if (t) {
                p->row.ranges.index = t->index;
                p->row.ranges.pid = t->pid;
                p->row.ranges.start_ticks = t->start_ticks;
        }
        return r;
}

static int plan_ranges_add(struct plan_ranges *p, struct round_target *t, uint64_t address)
{
        struct worker_ranges *ranges = &p->row.ranges;
        struct worker_range *last = ranges->n > 0 ? &ranges->ranges[ranges->n - 1] : NULL;
        struct round_range *in;
        bool whole;
        int r;

        ranges->n_pages++;
        if (last && address < last->end)
                return 0;
        in = round_find_range(t, address);
        if (!in || (in->registered && !p->exact))
                return 0;
        whole = in->whole && !p->exact;
        if (last && !whole && in == p->last &&
            address - last->end <= (p->exact ? 0 : RANGE_GAP_PAGES * MM_PAGE_SIZE)) {
                last->end = address + MM_PAGE_SIZE;
                return 0;
        }
        if (ranges->n >= WORKER_RANGES_MAX) {
                r = plan_ranges_flush(p, t);
                if (r < 0)
                        return r;
        }
        p->last = in;
        p->n_ranges++;
        ranges->ranges[ranges->n++] = (struct worker_range) {
                .start = whole ? in->start : address,
                .end = whole ? in->end : address + MM_PAGE_SIZE,
        };
        return 0;
}

static int send_scattered(struct worker_child *w, uint64_t n)
{
        union worker_packet row;

        worker_packet_init(&row, WORKER_ROW_REFUSED, sizeof(row.refused));
        row.refused.error = -ENOBUFS;
        row.refused.n_pages = n;
        return worker_child_send(w, &row);
}

int round_plan(struct worker_child *w, const struct worker_plan *plan)
{
        struct round *r = &w->round;
        struct plan_ranges ranges = { .w = w, .exact = plan->direct };
        struct round_target *t = NULL;
        struct mm_record *items;
        size_t n;
        int k;

        if (!r->scan_ready)
                return -EINVAL;
        k = mark_planned(w, plan);
        if (k < 0)
                return k;
        items = mm_records_items(r->records);
        n = mm_records_count(r->records);
        (void) plan_ranges_flush(&ranges, NULL);
        for (size_t i = 0; i < n; i++) {
                if ((items[i].flags & MM_RECORD_PLANNED) == 0)
                        continue;
                if (!t || t->index != items[i].target) {
                        t = round_find_target(r, items[i].target);
                        if (!t)
                                return -EINVAL;
                        k = plan_ranges_flush(&ranges, t);
                        if (k < 0)
                                return k;
                }
                /* Every second page of many gigabytes: no account could be kept of that. */
                if (ranges.exact && ranges.n_ranges >= EXACT_RANGES_MAX) {
                        items[i].flags &= ~(unsigned) MM_RECORD_PLANNED;
                        ranges.n_scattered++;
                        continue;
                }
                k = plan_ranges_add(&ranges, t, (uint64_t) items[i].page * MM_PAGE_SIZE);
                if (k < 0)
                        return k;
                if (i % TICK_RECORDS == 0) {
                        k = worker_child_tick(w);
                        if (k < 0)
                                return k;
                }
        }
        k = plan_ranges_flush(&ranges, NULL);
        return k < 0 || ranges.n_scattered == 0 ? k : send_scattered(w, ranges.n_scattered);
}

/* Notes in each planned record, as its key, the shared frame its page has now; 0 if it has none. */
static int look_again(struct worker_child *w, uint64_t *ret_planned, uint64_t *ret_gone)
{
        struct round *r = &w->round;
        struct mm_record *items = mm_records_items(r->records);
        size_t n = mm_records_count(r->records);
        struct mm_pagemap *pagemap = NULL;
        struct mm_ksm_areas ksm = {};
        struct round_target *t = NULL;
        int k = 0;

        for (size_t i = 0; i < n && k >= 0; i++) {
                uint64_t address = (uint64_t) items[i].page * MM_PAGE_SIZE, word, flags;
                struct mm_page page;

                items[i].key = 0;
                if (i % TICK_RECORDS == 0)
                        k = worker_child_tick(w);
                if ((items[i].flags & MM_RECORD_PLANNED) == 0)
                        continue;
                if (!t || t->index != items[i].target) {
                        t = round_find_target(r, items[i].target);
                        pagemap = mm_pagemap_free(pagemap);
                        mm_ksm_areas_done(&ksm);
                        if (t && t->dir_fd >= 0 &&
                            mm_ksm_areas_read(&r->scan.kpage, t->dir_fd, &ksm) >= 0)
                                (void) mm_pagemap_open(t->dir_fd, &pagemap);
                }
                if (!pagemap || mm_pagemap_read(pagemap, address, &word, 1) != 1) {
                        (*ret_gone)++;
                        continue;
                }
                page = mm_pagemap_decode(word, address, r->zero_frame);
                if ((page.flags & MM_PAGE_PRESENT) == 0 || page.frame == 0 || page.frame > UINT32_MAX) {
                        (*ret_gone)++;
                        continue;
                }
                if ((items[i].flags & MM_RECORD_KSM) == 0)
                        (*ret_planned)++;
                if ((page.flags & MM_PAGE_ZERO) != 0 ||
                    (mm_kpage_flags(&r->scan.kpage, page.frame, &flags, 1) == 1 &&
                     (mm_ksm_areas_judge(&ksm, &page, flags) & (1ULL << KPF_KSM)) != 0))
                        items[i].key = page.frame;
        }
        mm_pagemap_free(pagemap);
        mm_ksm_areas_done(&ksm);
        return k;
}

int round_measure(struct worker_child *w)
{
        struct round *r = &w->round;
        struct mm_record *items;
        union worker_packet row;
        uint64_t n_planned = 0, n_gone = 0, n_merged = 0, n_before = 0, n_shared = 0;
        size_t n;
        int k;

        if (!r->scan_ready)
                return -EINVAL;
        k = look_again(w, &n_planned, &n_gone);
        if (k < 0)
                return k;

        /* By frame now, then by frame before: so distinct ones are neighbours. */
        mm_records_sort(r->records);
        items = mm_records_items(r->records);
        n = mm_records_count(r->records);
        for (size_t i = 0; i < n;) {
                uint64_t now = items[i].key;
                bool was_shared = now == r->zero_frame;
                uint32_t last = 0;

                for (; i < n && items[i].key == now; i++) {
                        if (now == 0)
                                continue;
                        if ((items[i].flags & MM_RECORD_KSM) != 0) {
                                was_shared = was_shared || items[i].frame == now;
                                continue;
                        }
                        n_merged++;
                        if ((items[i].flags & MM_RECORD_FREEABLE) != 0 && items[i].frame != last)
                                n_before++;
                        last = items[i].frame;
                }
                if (now != 0 && !was_shared)
                        n_shared++;
        }

        worker_packet_init(&row, WORKER_ROW_MEASURED, sizeof(row.measured));
        row.measured.n_planned = n_planned;
        row.measured.n_gone = n_gone;
        row.measured.n_merged = n_merged;
        row.measured.n_frames_before = n_before;
        row.measured.n_frames_shared = n_shared;
        return worker_child_send(w, &row);
}
