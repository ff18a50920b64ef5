/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/sharing.h"

#include "lib/hash.h"

void mm_sharing_done(struct mm_sharing *s)
{
        free(s->frames);
        *s = (struct mm_sharing) {};
}

bool mm_seen_is_shared(const struct mm_seen *s)
{
        switch (s->kind) {
        case MM_PAGE_IS_ANON:
        case MM_PAGE_IS_FILE:
        case MM_PAGE_IS_KSM:
        case MM_PAGE_IS_DIRECT:
        case MM_PAGE_IS_HUGETLB:
                return s->count > 1;
        default:
                return false;
        }
}

int mm_sharing_add(struct mm_sharing *s, const struct mm_seen *seen, size_t n)
{
        size_t n_shared = 0, wanted;

        for (size_t i = 0; i < n; i++)
                n_shared += mm_seen_is_shared(&seen[i]);
        if (n_shared > MM_SHARING_MAX - s->n)
                return -ENOBUFS;

        wanted = s->n + n_shared;
        if (wanted > s->allocated) {
                size_t allocated = MAX(wanted, s->allocated * 2);
                struct mm_shared_frame *frames = reallocarray(s->frames, allocated, sizeof(*frames));

                if (!frames)
                        return -ENOMEM;
                s->frames = frames;
                s->allocated = allocated;
        }
        for (size_t i = 0; i < n; i++)
                if (mm_seen_is_shared(&seen[i]))
                        s->frames[s->n++] = (struct mm_shared_frame) {
                                .frame = seen[i].page.frame,
                                .page = seen[i].page.address / MM_PAGE_SIZE,
                                .kind = seen[i].kind,
                        };
        return 0;
}

static int compare(const void *a, const void *b)
{
        const struct mm_shared_frame *x = a, *y = b;

        if (x->frame != y->frame)
                return x->frame < y->frame ? -1 : 1;
        return x->page < y->page ? -1 : x->page > y->page;
}

void mm_sharing_sort(struct mm_sharing *s)
{
        if (s->n > 0)
                qsort(s->frames, s->n, sizeof(*s->frames), compare);
}

bool mm_sharing_find(const struct mm_sharing *s, uint64_t frame, uint64_t *ret_address,
                     enum mm_page_kind *ret_kind)
{
        size_t low = 0, high = s->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (s->frames[middle].frame < frame)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low == s->n || s->frames[low].frame != frame)
                return false;
        *ret_address = (uint64_t) s->frames[low].page * MM_PAGE_SIZE;
        *ret_kind = s->frames[low].kind;
        return true;
}

bool mm_shared_run_join(struct mm_shared_run *run, uint64_t here, uint64_t there, uint64_t frame,
                        enum mm_page_kind kind)
{
        uint64_t size = run->n_pages * MM_PAGE_SIZE;

        if (run->n_pages == 0 || run->kind != kind || run->here + size != here ||
            run->there + size != there || run->frame + run->n_pages != frame)
                return false;
        run->n_pages++;
        return true;
}
