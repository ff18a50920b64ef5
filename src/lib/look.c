/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/look-source.h"

bool mm_look_kind_is_known(const struct mm_hash *hash)
{
        return hash && hash->kind != MM_HASH_NONE && hash->kind != MM_HASH_FUNCTION;
}

/* 1 if mergemod is asked, 0 if it is not there or not for us, -errno. */
static int is_by_module(struct mm_target *t)
{
        struct mm_device *device;
        int r;

        r = mm_ctx_device(t->ctx, &device);
        if (r == -ENOPKG || r == -EPERM)
                return 0;
        if (r < 0)
                return r;
        return (mm_device_features(device) & MERGEMOD_FEATURE_HASHES) != 0;
}

int mm_look_prepare(struct mm_target *t, bool for_list)
{
        int r, by_module;

        if (!t->ctx->look)
                t->ctx->look = malloc(sizeof(*t->ctx->look));
        if (!t->ctx->look)
                return -ENOMEM;
        by_module = is_by_module(t);
        if (by_module < 0)
                return by_module;
        if (by_module && !for_list)
                return 0;
        r = by_module ? 0 : mm_target_open_memory(t);
        /* What is refused mergemod says itself. */
        return r < 0 ? r : mm_target_read_spans(t, !by_module);
}

static const struct mm_span *find_span(const struct mm_target *t, uint64_t at)
{
        for (size_t i = 0; i < t->n_spans; i++)
                if (t->spans[i].end > at)
                        return &t->spans[i];
        return NULL;
}

ssize_t mm_look_list(struct mm_target *t, uint64_t *at, uint64_t end, const struct mm_hash *hash,
                     struct mm_page_info *pages)
{
        const struct mm_span *span;
        size_t n = 0;
        int by_module;

        by_module = is_by_module(t);
        if (by_module < 0)
                return by_module;
        while (n + MM_HUGE_PARTS <= MM_LOOK_PAGES && *at < end) {
                ssize_t k;

                span = find_span(t, *at);
                if (!span || span->start >= end) {
                        *at = end;
                        break;
                }
                *at = MAX(*at, span->start);
                k = (by_module ? mm_look_list_module : mm_look_list_proc)(
                        t, at, MIN(end, span->end), hash, pages + n, MM_LOOK_PAGES - n);
                if (k < 0)
                        return k;
                n += (size_t) k;
        }
        return (ssize_t) n;
}

int mm_look_at(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n)
{
        int by_module;

        by_module = is_by_module(t);
        if (by_module < 0)
                return by_module;
        return (by_module ? mm_look_at_module : mm_look_at_proc)(t, hash, pages, n);
}

/* Reads @n pages, together not more than the buffer holds, and has them hashed. */
static int apply_run(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n,
                     uint8_t *buffer)
{
        size_t i = 0;

        while (i < n) {
                size_t wanted = 0, size, offset = 0;
                ssize_t n_read;

                for (size_t k = i; k < n; k++)
                        wanted += pages[k].size;
                n_read = pread(t->mem_fd, buffer, wanted, (off_t) mm_look_start(&pages[i]));
                if (n_read == 0)
                        return -ESRCH;
                if (n_read < 0 && errno != EIO && errno != EFAULT)
                        return -errno;
                size = n_read > 0 ? (size_t) n_read : 0;
                if (size < pages[i].size)
                        pages[i++].status = -ENODATA;
                for (; i < n && offset + pages[i].size <= size; i++) {
                        pages[i].hash = hash->fn(hash->userdata, buffer + offset, pages[i].size);
                        offset += pages[i].size;
                }
        }
        return 0;
}

int mm_look_apply(struct mm_target *t, const struct mm_hash *hash, struct mm_page_info *pages, size_t n)
{
        uint8_t *buffer;
        int r;

        if (!hash || hash->kind != MM_HASH_FUNCTION)
                return 0;
        r = mm_target_open_memory(t);
        for (size_t i = 0, next; i < n && r >= 0; i = next) {
                uint64_t size = pages[i].size;

                next = i + 1;
                if (pages[i].status < 0)
                        continue;
                for (; next < n && pages[next].status == 0 && size + pages[next].size <= MM_CTX_BUFFER &&
                       mm_look_start(&pages[next]) == mm_look_start(&pages[next - 1]) + pages[next - 1].size;
                     next++)
                        size += pages[next].size;
                r = mm_ctx_buffer(t->ctx, MAX(size, MM_CTX_BUFFER), &buffer);
                if (r >= 0)
                        r = apply_run(t, hash, &pages[i], next - i, buffer);
        }
        return r;
}
