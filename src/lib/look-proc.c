/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/kernel-page-flags.h>

#include "lib/hash-kind.h"
#include "lib/look-source.h"

/* Of the kernel's page of zeros the uses are not counted. */
#define ZERO_COUNT 2U

/* A page in an anonymous area, without what only its frame tells. */
static struct mm_page_info from_pagemap(struct mm_ctx *ctx, const struct mm_page *page)
{
        struct mm_page_info info = { .address = page->address, .frame = page->frame, .size = MM_PAGE_SIZE };

        if (page->flags & MM_PAGE_ZERO) {
                info.frame = mm_ctx_zero_frame(ctx);
                info.count = ZERO_COUNT;
                info.flags = MM_PAGE_INFO_ZERO;
                return info;
        }
        if (page->flags & MM_PAGE_EXCLUSIVE)
                info.count = 1;
        /* What does not belong to the area there, and to no file either. */
        if (page->flags & MM_PAGE_FILE)
                info.flags = MM_PAGE_INFO_MERGED;
        return info;
}

/* Whether its frame has a place that a part of a huge page would have. */
static bool is_aligned(const struct mm_page_info *page)
{
        return page->frame % MM_HUGE_PARTS == page->address / MM_PAGE_SIZE % MM_HUGE_PARTS;
}

static bool wants_flags(const struct mm_page_info *page)
{
        return page->status == 0 && page->frame != 0 && !(page->flags & MM_PAGE_INFO_ZERO) &&
               (page->count == 0 || is_aligned(page));
}

static void take_flags(struct mm_ctx *ctx, struct mm_page_info *page, uint64_t word)
{
        if (word & (UINT64_C(1) << KPF_ZERO_PAGE)) {
                page->frame = mm_ctx_zero_frame(ctx);
                page->count = ZERO_COUNT;
                page->flags = MM_PAGE_INFO_ZERO;
                return;
        }
        if (word & (UINT64_C(1) << KPF_THP) && is_aligned(page))
                page->flags |= MM_PAGE_INFO_HUGE;
}

static bool wants_count(const struct mm_page_info *page)
{
        return page->status == 0 && page->frame != 0 && page->count == 0;
}

/* One that was just mapped may have been given up since. */
static void take_count(struct mm_ctx *ctx, struct mm_page_info *page, uint64_t word)
{
        page->count = MAX(word, UINT64_C(1));
}

typedef int (*read_words_t)(const struct mm_kpage *kpage, const struct mm_page *pages, size_t n,
                            uint64_t *words);

/* Reads a word for the frame of each page that wants one. */
static void look_up(struct mm_ctx *ctx, struct mm_page_info *pages, size_t n, read_words_t read_words,
                    bool (*wants)(const struct mm_page_info *),
                    void (*take)(struct mm_ctx *, struct mm_page_info *, uint64_t))
{
        struct mm_page wanted[MM_PAGES_CHUNK];
        struct mm_page_info *whose[MM_PAGES_CHUNK];
        uint64_t words[MM_PAGES_CHUNK];
        size_t n_wanted = 0;

        for (size_t i = 0; i < n; i++) {
                if (wants(&pages[i])) {
                        wanted[n_wanted] = (struct mm_page) { .frame = pages[i].frame };
                        whose[n_wanted++] = &pages[i];
                }
                if (n_wanted < ELEMENTSOF(wanted) && i + 1 < n)
                        continue;
                if (n_wanted > 0 && read_words(&ctx->kpage, wanted, n_wanted, words) >= 0)
                        for (size_t k = 0; k < n_wanted; k++)
                                take(ctx, whose[k], words[k]);
                n_wanted = 0;
        }
}

static void look_up_frames(struct mm_ctx *ctx, struct mm_page_info *pages, size_t n)
{
        look_up(ctx, pages, n, mm_kpage_flags_of, wants_flags, take_flags);
        look_up(ctx, pages, n, mm_kpage_counts_of, wants_count, take_count);
}

struct found {
        struct mm_ctx *ctx;
        struct mm_page_info *pages;
        size_t n, max;
        uint64_t next;
};

#define IS_FULL 1

static int on_pages(void *userdata, const struct mm_page *pages, size_t n)
{
        struct found *f = userdata;

        for (size_t i = 0; i < n; i++)
                if (pages[i].flags & MM_PAGE_PRESENT)
                        f->pages[f->n++] = from_pagemap(f->ctx, &pages[i]);
        f->next = pages[n - 1].address + MM_PAGE_SIZE;
        return f->n + MM_PAGES_CHUNK > f->max ? IS_FULL : 0;
}

static int walk(struct mm_target *t, uint64_t *at, uint64_t end, struct found *f)
{
        bool sparse;
        int r;

        r = mm_pages_walk_slices(t->pagemap, at, end, on_pages, NULL, f, &sparse);
        if (sparse)
                mm_ctx_debug(t->ctx, "process %d: an area given up at %#llx, all but empty",
                             (int) t->process.pid, (unsigned long long) *at);
        if (r < 0)
                return r;
        *at = r == IS_FULL ? f->next : end;
        return 0;
}

/* Reads and hashes pages at neighbouring addresses. */
static int hash_run(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n,
                    uint8_t *buffer)
{
        size_t i = 0;

        while (i < n) {
                ssize_t size = pread(t->mem_fd, buffer, (n - i) * MM_PAGE_SIZE,
                                     (off_t) mm_look_start(&pages[i]));
                size_t n_read = size > 0 ? (size_t) size / MM_PAGE_SIZE : 0;

                if (size == 0)
                        return -ESRCH;
                if (size < 0 && errno != EIO && errno != EFAULT)
                        return -errno;
                for (size_t k = 0; k < n_read; k++, i++)
                        pages[i].hash = mm_hash_kind_compute(hash->kind, hash->seed,
                                                             buffer + k * MM_PAGE_SIZE, MM_PAGE_SIZE);
                if (n_read == 0)
                        pages[i++].status = -ENODATA;
        }
        return 0;
}

static int hash_pages(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n)
{
        uint8_t *buffer;
        int r;

        if (!mm_look_kind_is_known(hash))
                return 0;
        r = mm_ctx_buffer(t->ctx, MM_CTX_BUFFER, &buffer);
        for (size_t i = 0, next; i < n && r >= 0; i = next) {
                next = i + 1;
                if (pages[i].status < 0)
                        continue;
                while (next < n && next - i < MM_CTX_BUFFER / MM_PAGE_SIZE && pages[next].status == 0 &&
                       pages[next].address == pages[next - 1].address + MM_PAGE_SIZE)
                        next++;
                r = hash_run(t, hash, &pages[i], next - i, buffer);
        }
        return r;
}

ssize_t mm_look_list_proc(struct mm_target *t, uint64_t *at, uint64_t end, const struct mm_hash *hash,
                          struct mm_page_info *pages, size_t max)
{
        struct found f = { .ctx = t->ctx, .pages = pages, .max = max };
        size_t n = 0;
        int r;

        r = walk(t, at, end, &f);
        if (r < 0)
                return r;
        look_up_frames(t->ctx, pages, f.n);
        r = hash_pages(t, hash, pages, f.n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < f.n; i++)
                if (pages[i].status == 0)
                        pages[n++] = pages[i];
        return (ssize_t) n;
}

static bool in_span(const struct mm_target *t, uint64_t address)
{
        size_t low = 0, high = t->n_spans;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (t->spans[middle].end <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < t->n_spans && t->spans[low].start <= address;
}

/* Pages at neighbouring addresses. */
static int look_at_run(struct mm_target *t, struct mm_page_info *pages, size_t n)
{
        static const struct mm_page_info not_there = { .status = -ENODATA };
        uint64_t words[MM_HUGE_PARTS], zero_frame = mm_ctx_zero_frame(t->ctx);
        ssize_t n_words;

        n_words = mm_pagemap_read(t->pagemap, pages[0].address, words, n);
        if (n_words < 0)
                return (int) n_words;
        for (size_t i = 0; i < n; i++) {
                uint64_t address = pages[i].address, hash = pages[i].hash;
                struct mm_page page;

                page = mm_pagemap_decode((ssize_t) i < n_words ? words[i] : 0, address, zero_frame);
                pages[i] = page.flags & MM_PAGE_PRESENT ? from_pagemap(t->ctx, &page) : not_there;
                pages[i].address = address;
                pages[i].hash = hash;
        }
        return 0;
}

int mm_look_at_proc(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n)
{
        struct mm_page_info not_there = { .status = -ENODATA };
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                not_there.address = pages[i].address;
                not_there.hash = pages[i].hash;
                if (in_span(t, pages[i].address))
                        pages[i].status = 0;
                else
                        pages[i] = not_there;
        }
        for (size_t i = 0, next; i < n && r >= 0; i = next) {
                next = i + 1;
                if (pages[i].status < 0)
                        continue;
                while (next < n && next - i < MM_HUGE_PARTS && pages[next].status == 0 &&
                       pages[next].address == pages[next - 1].address + MM_PAGE_SIZE)
                        next++;
                r = look_at_run(t, &pages[i], next - i);
        }
        if (r < 0)
                return r;
        look_up_frames(t->ctx, pages, n);
        return hash_pages(t, hash, pages, n);
}
