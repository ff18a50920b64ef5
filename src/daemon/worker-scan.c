/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/rules.h"
#include "daemon/worker-child.h"
#include "lib/ranges.h"
#include "shared/lookup.h"
#include "shared/pattern.h"

static bool owner_is_looked_at(const struct round *r, uint8_t owner)
{
        switch (owner) {
        case MM_OWNER_NONE:
                return false;
        /* They are rewritten all the time; merging them often costs more than it saves. */
        case MM_OWNER_STACK:
        case MM_OWNER_THREAD_STACK:
                return r->stacks;
        case MM_OWNER_LIBRARY:
        case MM_OWNER_PROGRAM:
                return !(r->left_out & RULE_OWNER_LIBRARY);
        case MM_OWNER_HEAP:
                return !(r->left_out & RULE_OWNER_HEAP);
        default:
                return !(r->left_out & RULE_OWNER_ANON);
        }
}

static bool owner_is_file(uint8_t owner)
{
        return owner == MM_OWNER_LIBRARY || owner == MM_OWNER_PROGRAM || owner == MM_OWNER_FILE;
}

static bool owner_is_stack(uint8_t owner)
{
        return owner == MM_OWNER_STACK || owner == MM_OWNER_THREAD_STACK;
}

static bool has(const uint8_t *set, uint32_t i)
{
        return i < RULES_MAX && (set[i / 8] & 1U << i % 8) != 0;
}

/* How well @l says what the range's library is called; 0: not at all. */
static unsigned rank(const struct round_library *l, const struct mm_range *range)
{
        if (mm_file_id_known(&l->file))
                return mm_file_id_equal(&l->file, &range->file) ? 2 : 0;
        if (!library_pattern_match(l->name, range->name))
                return 0;
        return pattern_is_glob(l->name) ? 1 : 2;
}

/* Whether the libraries asked for include this range's, and no other rule decides about it; each that is
 * asked for and met is @seen. */
static bool match_libraries(struct round *r, const struct mm_range *range,
                            const struct worker_other_rules *others, bool *seen, uint8_t *forbidden)
{
        unsigned best = 0;

        if (range->owner != MM_OWNER_LIBRARY && range->owner != MM_OWNER_PROGRAM)
                return r->all_libraries;
        for (size_t i = 0; i < r->n_libraries; i++) {
                unsigned fits = r->libraries[i].others ? 0 : rank(&r->libraries[i], range);

                seen[i] = seen[i] || fits > 0;
                best = MAX(best, fits);
        }
        if (best == 0 && !r->all_libraries)
                return false;
        for (size_t i = 0; i < r->n_libraries; i++) {
                const struct round_library *l = &r->libraries[i];
                unsigned fits = l->others && has(others->applies, l->rule) ? rank(l, range) : 0;

                if (fits == 0)
                        continue;
                if (l->never)
                        *forbidden = true;
                if (l->never || fits > best || (fits == best && has(others->first, l->rule)))
                        return false;
        }
        return true;
}

static int add_target(struct round *r, const struct worker_target *t, struct round_target **ret)
{
        struct round_target *targets, *last = r->n_targets > 0 ? &r->targets[r->n_targets - 1] : NULL;

        if (last && t->from > 0 && last->index == t->index) {
                *ret = last;
                return 0;
        }
        if (t->from > 0 || (last && last->index >= t->index))
                return -EINVAL;
        targets = array_grow(r->targets, r->n_targets, sizeof(*targets));
        if (!targets)
                return -ENOMEM;
        r->targets = targets;
        *ret = &targets[r->n_targets++];
        **ret = (struct round_target) {
                .index = t->index,
                .domain = t->domain,
                .pid = t->pid,
                .start_ticks = t->start_ticks,
                .dir_fd = -EBADF,
        };
        return 0;
}

static int add_range(struct round_target *t, const struct round_range *range)
{
        struct round_range *ranges;

        ranges = array_grow(t->ranges, t->n_ranges, sizeof(*ranges));
        if (!ranges)
                return -ENOMEM;
        t->ranges = ranges;
        t->ranges[t->n_ranges++] = *range;
        return 0;
}

#define SLICE_IS_OVER 1

static int scan_tick(void *userdata)
{
        struct worker_child *w = userdata;
        int r;

        w->n_pages = w->round.scan.n_looked;
        r = worker_child_tick(w);
        return r < 0 ? r : worker_child_slice_is_over(w) ? SLICE_IS_OVER : 0;
}

/* A file's memory is registered as a whole, and so is a stack, of which only the piece with the first frame
 * would still be known as one: what belongs together is not to be cut. */
static int whole_tick(void *userdata)
{
        int r = scan_tick(userdata);

        return MIN(r, 0);
}

/* Everything a look at one process needs at hand. */
struct scanning {
        struct worker_child *w;
        const struct worker_target *t;
        const char *exe;
        struct mm_scan_target memory;
        struct round_target *target;
        bool *seen; /* by library */
        bool passed_over; /* ranges since the last that was looked at */
        struct worker_scanned *row;
};

/* Only pages that one mechanism can merge with each other may be one group. */
#define NOT_DIRECT (1U << 31)
#define NOT_DIRECT_AS_HUGE (1U << 30)
/* Stacks meet stacks, so that what is found without them does not depend on them. */
#define ON_STACK (1U << 29)

#define HUGE_PAGE_BYTES (2ULL << 20)

static bool fits_huge(const struct mm_vmflags *area)
{
        uint64_t first = (area->start + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;

        return first < area->end && area->end - first >= HUGE_PAGE_BYTES;
}

/* Whether mergemod leaves the area alone for the huge pages that it has, or could get. It decides again when
 * it comes to that. */
static bool is_left_as_huge(const struct mm_vmflags *area, enum mergemod_huge huge)
{
        if (huge == MERGEMOD_HUGE_SPLIT)
                return false;
        return area->flags & MM_VM_HAS_HUGE ||
               (huge == MERGEMOD_HUGE_KEEP && !(area->flags & MM_VM_NOHUGEPAGE) && fits_huge(area));
}

/* One piece of a range, in which the kernel treats all pages alike. */
static int scan_piece(struct scanning *s, const struct mm_range *range, const struct mm_vmflags *piece)
{
        struct round *r = &s->w->round;
        struct round_range found = {
                .start = MAX(range->start, piece->start),
                .end = MIN(range->end, piece->end),
                .whole = owner_is_file(range->owner) || owner_is_stack(range->owner),
                .apart = s->passed_over,
                .registered = (piece->flags & MM_VM_MERGEABLE) != 0,
        };
        uint64_t looked = r->scan.n_looked, owner;
        bool ksm_only;
        int k;

        found.start = MAX(found.start, s->t->from);
        if (found.start >= found.end)
                return 0;
        if ((piece->flags & MM_VM_SPECIAL) != 0 ||
            ((piece->flags & MM_VM_PRIVATE) != 0 && !r->include_private))
                return 0;
        k = round_range_owner(r, range, s->t, s->exe, &found.owner);
        if (k < 0)
                return k;
        ksm_only = range->file_backed ||
                   (r->direct && (found.registered || (piece->flags & MM_VM_PRIVATE) != 0));
        r->scan.area = piece->flags;
        r->scan.huge = !ksm_only && is_left_as_huge(piece, r->huge);
        owner = (r->cross_owners ? 0U : found.owner + 1U) | (r->direct && ksm_only ? NOT_DIRECT : 0U) |
                (r->direct && r->scan.huge ? NOT_DIRECT_AS_HUGE : 0U) |
                (owner_is_stack(range->owner) ? ON_STACK : 0U);
        k = mm_scan_range(&r->scan, &s->memory, found.start, found.end, owner, ksm_only,
                          found.whole ? whole_tick : scan_tick, s->w);
        if (k == -ENOBUFS)
                s->row->incomplete = true;
        else if (k < 0)
                return k;
        if (k == SLICE_IS_OVER)
                found.end = s->row->next = r->scan.reached;
        if (r->scan.n_looked > looked) {
                int e;

                found.n_pages = (uint32_t) (r->scan.n_looked - looked);
                r->owners[found.owner].n_pages += found.n_pages;
                e = add_range(s->target, &found);
                if (e < 0)
                        return e;
                s->passed_over = false;
        }
        if (k != SLICE_IS_OVER && worker_child_slice_is_over(s->w)) {
                s->row->next = found.end;
                return SLICE_IS_OVER;
        }
        return MAX(k, 0);
}

static int scan_ranges(struct scanning *s, const struct mm_ranges *l)
{
        size_t next = 0;

        for (size_t i = 0; i < l->n; i++) {
                const struct mm_range *range = &l->items[i];

                if (range->end <= s->t->from)
                        continue;
                if (!owner_is_looked_at(&s->w->round, range->owner) ||
                    !match_libraries(&s->w->round, range, &s->t->other_rules, s->seen, &s->row->forbidden)) {
                        s->passed_over = true;
                        continue;
                }
                s->row->matched = true;
                while (next < l->n_flags && l->flags[next].end <= range->start)
                        next++;
                for (size_t k = next; k < l->n_flags && l->flags[k].start < range->end; k++) {
                        int r = scan_piece(s, range, &l->flags[k]);

                        if (r != 0)
                                return MIN(r, 0);
                }
        }
        return 0;
}

static int scan_target(struct scanning *s, int dir_fd)
{
        _cleanup_(mm_ranges_done) struct mm_ranges l = {};
        int r;

        /* The memory first, its map afterwards: if the process execs in between, the memory is the
         * old one, which is empty now, and nothing wrong is read. */
        r = mm_scan_target_open(dir_fd, s->t->index, s->t->domain, &s->memory);
        if (r < 0)
                return r;
        r = mm_ranges_read(s->w->round.elf_cache, dir_fd, &s->t->exe, true, &l);
        if (r >= 0)
                r = scan_ranges(s, &l);
        mm_scan_target_done(&s->memory);
        return r;
}

int round_scan(struct worker_child *w, const struct worker_target *t, const char *exe, int dir_fd)
{
        _cleanup_(closep) int owned_fd = dir_fd;
        _cleanup_(freep) bool *seen = NULL;
        struct round *r = &w->round;
        struct mm_scan before;
        struct round_target *target;
        union worker_packet row;
        int k;

        if (!r->scan_ready)
                return -EINVAL;
        seen = calloc(MAX(r->n_libraries, (size_t) 1), sizeof(*seen));
        if (!seen)
                return -ENOMEM;
        k = add_target(r, t, &target);
        if (k < 0)
                return k;
        worker_child_slice(w, t->slice_usec);

        before = r->scan;
        worker_packet_init(&row, WORKER_ROW_SCANNED, sizeof(row.scanned));
        row.scanned.matched = t->from > 0;
        k = scan_target(
                &(struct scanning) {
                        .w = w,
                        .t = t,
                        .exe = exe,
                        .target = target,
                        .seen = seen,
                        .row = &row.scanned,
                },
                dir_fd);
        if (k == -ECANCELED || k == -EPIPE)
                return k;

        row.scanned.index = t->index;
        row.scanned.error = k;
        row.scanned.n_pages = r->scan.n_looked - before.n_looked;
        row.scanned.n_read = r->scan.n_read - before.n_read;
        row.scanned.n_swapped = r->scan.n_swapped - before.n_swapped;
        row.scanned.n_ksm = r->scan.n_ksm - before.n_ksm;
        if (target->n_ranges > 0 && target->dir_fd < 0)
                target->dir_fd = TAKE_FD(owned_fd);
        k = worker_child_send(w, &row);

        for (size_t i = 0; i < r->n_libraries && k >= 0; i++) {
                if (!seen[i] || r->libraries[i].told)
                        continue;
                r->libraries[i].told = true;
                worker_packet_init(&row, WORKER_ROW_MATCHED, sizeof(row.matched));
                row.matched.library = (uint32_t) i;
                k = worker_child_send(w, &row);
        }
        return k;
}

static int count_private(void *userdata, const struct mm_page *pages, size_t n)
{
        uint64_t *n_pages = userdata;

        for (size_t i = 0; i < n; i++)
                if ((pages[i].flags & (MM_PAGE_PRESENT | MM_PAGE_FILE | MM_PAGE_ZERO)) == MM_PAGE_PRESENT)
                        (*n_pages)++;
        return 0;
}

int round_list(struct worker_child *w, const struct worker_target *t, int dir_fd)
{
        _cleanup_(mm_elf_cache_freep) struct mm_elf_cache *cache = NULL;
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pagemap = NULL;
        _cleanup_(mm_ranges_done) struct mm_ranges l = {};
        int r;

        r = mm_elf_cache_new(&cache);
        if (r < 0)
                return r;
        r = mm_pagemap_open(dir_fd, &pagemap);
        if (r < 0)
                return r;
        r = mm_ranges_read(cache, dir_fd, &t->exe, false, &l);
        if (r < 0)
                return r;

        for (size_t i = 0; i < l.n; i++) {
                const struct mm_range *range = &l.items[i];
                union worker_packet row;
                uint64_t n_pages = 0;

                if (range->owner != MM_OWNER_LIBRARY)
                        continue;
                r = mm_pages_walk(pagemap, range->start, range->end, 0, count_private, &n_pages, NULL);
                if (r < 0)
                        return r;
                worker_packet_init(&row, WORKER_ROW_LIBRARY, sizeof(row.library_row));
                row.library_row.file = range->file;
                row.library_row.private_bytes = n_pages * MM_PAGE_SIZE;
                worker_packet_text(&row, range->name);
                r = worker_child_send(w, &row);
                if (r < 0)
                        return r;
                r = worker_child_tick(w);
                if (r < 0)
                        return r;
        }
        return 0;
}
