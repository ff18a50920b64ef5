/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/look-source.h"

/* What cannot be merged by mergemod. */
#define REFUSED (MERGEMOD_PAGE_REFUSED | MERGEMOD_PAGE_FILE_AREA | MERGEMOD_PAGE_FILE)

/* Of the kernel's page of zeros the uses are not counted. */
#define ZERO_COUNT 2U

struct list_call {
        uint64_t *at, end, seed;
        bool hashed;
        uint32_t flags;
        struct mergemod_page *pages;
        size_t max, n;
};

/* MERGEMOD_SCAN_*. */
static uint32_t flags_of(const struct mm_hash *hash)
{
        switch (hash ? hash->kind : MM_HASH_NONE) {
        case MM_HASH_XXH64:
                return 0;
        case MM_HASH_SAMPLE:
                return MERGEMOD_SCAN_SAMPLE;
        case MM_HASH_ADDROTHALF:
                return MERGEMOD_SCAN_ADDROTHALF;
        default:
                return MERGEMOD_SCAN_CONST;
        }
}

static uint32_t info_flags(uint32_t flags)
{
        uint32_t info = 0;

        if (flags & MERGEMOD_PAGE_MERGED)
                info |= MM_PAGE_INFO_MERGED;
        if (flags & MERGEMOD_PAGE_HUGE)
                info |= MM_PAGE_INFO_HUGE;
        return info;
}

/* All but the address and the hash. False if it is none that could be merged. */
static bool take(struct mm_ctx *ctx, const struct mergemod_page *found, struct mm_page_info *page)
{
        bool there = found->status >= 0 && !(found->flags & REFUSED);

        page->frame = there ? found->frame : 0;
        page->count = there ? (uint64_t) MAX(found->status, 1) : 0;
        page->size = there ? MM_PAGE_SIZE : 0;
        page->flags = there ? info_flags(found->flags) : 0;
        page->status = there ? 0 : -ENODATA;
        if (there && found->flags & MERGEMOD_PAGE_ZERO) {
                page->frame = mm_ctx_zero_frame(ctx);
                page->count = ZERO_COUNT;
                page->flags = MM_PAGE_INFO_ZERO;
        }
        return there;
}

static int list(struct mm_device *device, uint32_t target, void *argument)
{
        struct list_call *call = argument;

        if (!call->hashed)
                return mm_device_pages(device, target, MERGEMOD_SCAN_COUNT, call->at, call->end, call->pages,
                                       call->max, &call->n);
        return mm_device_scan(device, target,
                              MERGEMOD_SCAN_COUNT | MERGEMOD_SCAN_ZEROS | MERGEMOD_SCAN_MERGED |
                                      MERGEMOD_SCAN_HUGE | call->flags,
                              call->seed, call->at, call->end, call->pages, call->max, &call->n);
}

ssize_t mm_look_list_module(struct mm_target *t, uint64_t *at, uint64_t end, const struct mm_hash *hash,
                            struct mm_page_info *pages, size_t max)
{
        struct mergemod_page *found = t->ctx->look->module;
        struct list_call call = {
                .at = at,
                .end = end,
                .seed = hash ? hash->seed : 0,
                .hashed = mm_look_kind_is_known(hash),
                .flags = flags_of(hash),
                .pages = found,
                .max = MIN(max, (size_t) MM_LOOK_PAGES),
        };
        size_t n = 0;
        int r;

        r = mm_target_call(t, list, &call);
        if (r == -EINTR)
                return 0;
        if (r < 0)
                return r;
        for (size_t i = 0; i < call.n; i++) {
                pages[n].address = found[i].address;
                pages[n].hash = call.hashed ? found[i].hash : 0;
                n += take(t->ctx, &found[i], &pages[n]);
        }
        return (ssize_t) n;
}

struct look_call {
        uint64_t seed;
        uint32_t flags;
        struct mergemod_page *pages;
        size_t n;
};

static int look(struct mm_device *device, uint32_t target, void *argument)
{
        struct look_call *call = argument;

        return mm_device_hash(device, target, call->flags | MERGEMOD_SCAN_COUNT, call->seed, call->pages,
                              call->n);
}

int mm_look_at_module(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n)
{
        struct mergemod_page *found = t->ctx->look->module;
        struct look_call call = {
                .seed = hash ? hash->seed : 0,
                .flags = flags_of(hash),
                .pages = found,
                .n = n,
        };
        bool hashed = mm_look_kind_is_known(hash);
        int r;

        for (size_t i = 0; i < n; i++)
                found[i].address = pages[i].address & ~(uint64_t) (MM_PAGE_SIZE - 1);
        r = mm_target_call(t, look, &call);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (take(t->ctx, &found[i], &pages[i]) && hashed)
                        pages[i].hash = found[i].hash;
        return 0;
}
