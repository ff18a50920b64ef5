/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/look-source.h"

#include <limits.h>

static bool is_valid(const struct mm_hash *hash)
{
        if (!hash)
                return true;
        return (unsigned) hash->kind <= MM_HASH_FUNCTION &&
               (hash->kind != MM_HASH_FUNCTION || hash->fn);
}

static uint64_t huge_start(uint64_t address)
{
        return address - address % MM_HUGE_BYTES;
}

/* Without overflow: the last huge page's place has no end. */
static uint64_t huge_end(uint64_t address)
{
        uint64_t start = huge_start(address);

        if (start == address)
                return address;
        return start + MM_HUGE_BYTES - (start > UINT64_MAX - MM_HUGE_BYTES ? MM_PAGE_SIZE : 0);
}

struct scan {
        struct mm_target *target;
        const struct mm_hash *hash;
        uint64_t start, end; /* what was asked for; a huge page may stick out */
        struct mm_page_info *pages;
        size_t n, max;
};

/* Takes over what was asked for. True when there is no more room, and *@next is where to go on. */
static bool take(struct scan *s, const struct mm_page_info *found, size_t n, uint64_t *next)
{
        for (size_t i = 0; i < n && found[i].address < s->end; i++) {
                if (found[i].address + found[i].size <= s->start)
                        continue;
                if (s->n == s->max) {
                        *next = MAX(found[i].address, s->start);
                        return true;
                }
                s->pages[s->n++] = found[i];
        }
        return false;
}

static int scan(struct scan *s, uint64_t *ret_next)
{
        uint64_t at = huge_start(s->start), end = huge_end(s->end);
        struct mm_page_info *found = s->target->ctx->look->found;

        while (at < end && s->n < s->max) {
                size_t n, n_used;
                ssize_t n_found;

                n_found = mm_look_list(s->target, &at, end, s->hash, found);
                if (n_found < 0)
                        return (int) n_found;
                n = mm_look_fold(s->hash, found, (size_t) n_found, at < end, &n_used);
                if (n_used < (size_t) n_found)
                        at = found[n_used].address;
                if (take(s, found, n, ret_next))
                        return 0;
        }
        *ret_next = MIN(at, s->end);
        return 0;
}

_public_ ssize_t mm_target_scan(struct mm_target *t, uint64_t *start, uint64_t end,
                                const struct mm_hash *hash, struct mm_page_info *pages, size_t n)
{
        struct scan s = {
                .target = t, .hash = hash, .start = *start, .end = end, .pages = pages, .max = n,
        };
        uint64_t next = 0;
        int r;

        if ((*start | end) % MM_PAGE_SIZE != 0 || *start > end || n == 0 || n > SSIZE_MAX || !is_valid(hash))
                return -EINVAL;
        if (!t->spans || t->spans_next != *start) {
                r = mm_look_prepare(t, true);
                if (r < 0)
                        return r;
        }
        r = scan(&s, &next);
        if (r >= 0)
                r = mm_look_apply(t, hash, pages, s.n);
        if (r < 0)
                return r;
        *start = t->spans_next = next;
        return (ssize_t) s.n;
}

/* What was found out last about the place of a huge page. */
struct place {
        uint64_t start;
        bool known, is_huge;
        struct mm_page_info page; /* if it is huge */
};

static int look_at_parts(struct mm_target *t, const struct mm_hash *hash, struct place *place)
{
        struct mm_page_info *parts = t->ctx->look->parts;
        size_t n_used;
        int r;

        for (size_t i = 0; i < MM_HUGE_PARTS; i++)
                parts[i] = (struct mm_page_info) { .address = place->start + i * MM_PAGE_SIZE };
        r = mm_look_at(t, hash, parts, MM_HUGE_PARTS);
        if (r < 0)
                return r;
        place->is_huge = mm_look_fold(hash, parts, MM_HUGE_PARTS, false, &n_used) == 1;
        place->page = parts[0];
        return 0;
}

/* The huge page around a page that looks like a part of one. Most of these are not: only then is all of it
 * hashed. */
static int look_around(struct mm_target *t, const struct mm_hash *hash, struct place *place,
                       struct mm_page_info *page)
{
        int r = 0;

        if (!place->known || place->start != huge_start(page->address)) {
                *place = (struct place) { .start = huge_start(page->address) };
                r = look_at_parts(t, NULL, place);
                if (r >= 0 && place->is_huge && mm_look_kind_is_known(hash))
                        r = look_at_parts(t, hash, place);
                if (r < 0)
                        return r;
                place->known = true;
        }
        if (place->is_huge) {
                uint64_t address = page->address, content = page->hash;

                *page = place->page;
                page->address = address;
                if (!mm_look_kind_is_known(hash))
                        page->hash = content;
        } else
                page->flags &= ~MM_PAGE_INFO_HUGE;
        return 0;
}

static int look(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n)
{
        struct place place = {};
        int r;

        r = mm_look_at(t, hash, pages, n);
        for (size_t i = 0; i < n && r >= 0; i++)
                if (pages[i].flags & MM_PAGE_INFO_HUGE)
                        r = look_around(t, hash, &place, &pages[i]);
        return r < 0 ? r : mm_look_apply(t, hash, pages, n);
}

_public_ ssize_t mm_target_look(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages,
                                size_t n)
{
        size_t n_there = 0;
        int r;

        if (n > SSIZE_MAX || !is_valid(hash))
                return -EINVAL;
        r = mm_look_prepare(t, false);
        t->spans_next = UINT64_MAX;
        for (size_t i = 0, n_batch; i < n && r >= 0; i += n_batch) {
                n_batch = MIN(n - i, (size_t) MM_LOOK_PAGES);
                r = look(t, hash, pages + i, n_batch);
                for (size_t k = i; k < i + n_batch; k++)
                        n_there += pages[k].status == 0;
        }
        return r < 0 ? r : (ssize_t) n_there;
}
