/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/survey.h"

#include "lib/hash.h"

/* From here on addresses are the kernel's own: one page of them, [vsyscall], is listed as an area. */
#define KERNEL_HALF (UINT64_C(1) << 63)

struct walk {
        struct mm_survey *s;
        struct mm_piece piece;
        uint64_t at; /* what lies before it was walked in slices that are over */
        mm_survey_cb cb;
        void *userdata;
};

static const struct mm_area *first_area(const struct mm_areas *a, uint64_t from)
{
        size_t low = 0, high = a->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (a->items[middle].end <= from)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < a->n ? &a->items[low] : NULL;
}

static const struct mm_range *first_range(const struct mm_survey *s, uint64_t from)
{
        size_t low = 0, high = s->n_ranges;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (s->ranges[middle].end <= from)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < s->n_ranges ? &s->ranges[low] : NULL;
}

bool mm_survey_piece(const struct mm_survey *s, uint64_t from, struct mm_piece *ret)
{
        const struct mm_area *area = first_area(s->areas, from);
        const struct mm_range *range;
        struct mm_piece piece;

        if (!area)
                return false;
        piece = (struct mm_piece) { .start = MAX(area->start, from), .end = area->end, .area = area };
        range = first_range(s, piece.start);
        if (range && range->start <= piece.start) {
                piece.range = range;
                piece.end = MIN(piece.end, range->end);
        } else if (range)
                piece.end = MIN(piece.end, range->start);
        *ret = piece;
        return true;
}

static int on_pages(void *userdata, const struct mm_page *pages, size_t n)
{
        struct walk *w = userdata;
        uint64_t counts[MM_PAGES_CHUNK] = {}, flags[MM_PAGES_CHUNK] = {};
        struct mm_seen seen[MM_PAGES_CHUNK];
        int r;

        if (w->s->kpage) {
                r = mm_kpage_counts_of(w->s->kpage, pages, n, counts);
                if (r >= 0)
                        r = mm_kpage_flags_of(w->s->kpage, pages, n, flags);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < n; i++)
                        flags[i] = mm_ksm_areas_judge(w->s->ksm, &pages[i], flags[i]);
        }
        for (size_t i = 0; i < n; i++)
                seen[i] = (struct mm_seen) {
                        .page = pages[i],
                        .count = counts[i],
                        .flags = flags[i],
                        .kind = mm_page_kind(&pages[i], counts[i], flags[i], w->piece.area),
                };
        w->s->n_pages += n;
        w->s->next = pages[n - 1].address + MM_PAGE_SIZE;
        return w->cb(w->userdata, &w->piece, seen, n);
}

static int on_slice(void *userdata)
{
        struct walk *w = userdata;

        w->s->next = w->at;
        return w->cb(w->userdata, &w->piece, NULL, 0);
}

int mm_survey_walk(struct mm_survey *s, uint64_t from, uint64_t to, mm_survey_cb cb, void *userdata)
{
        struct walk w = { .s = s, .cb = cb, .userdata = userdata };
        bool sparse;
        int r;

        s->next = from;
        to = MIN(to, KERNEL_HALF);
        while (s->next < to && mm_survey_piece(s, s->next, &w.piece) && w.piece.start < to) {
                w.piece.end = MIN(w.piece.end, to);
                w.at = w.piece.start;
                r = mm_pages_walk_slices(s->pagemap, &w.at, w.piece.end, on_pages, on_slice, &w, &sparse);
                if (r != 0)
                        return r;
                s->n_too_sparse += sparse;
                s->next = w.piece.end;
        }
        s->next = UINT64_MAX;
        return 0;
}
