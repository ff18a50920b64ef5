/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/context.h"

#include <fcntl.h>
#include <stdarg.h>
#include <syslog.h>

#include "lib/hash.h"
#include "lib/ksm.h"

#define KSM_PATH "/sys/kernel/mm/ksm"
#define MESSAGE_MAX 512U

static struct mm_ctx *ctx_free(struct mm_ctx *ctx)
{
        mm_device_free(ctx->device);
        mm_kpage_done(&ctx->kpage);
        mm_elf_cache_free(ctx->elf_cache);
        safe_close(ctx->proc_fd);
        free(ctx->look);
        free(ctx->buffer);
        free(ctx);
        return NULL;
}

_public_ int mm_ctx_new(struct mm_ctx **ret)
{
        _cleanup_(mm_ctx_unrefp) struct mm_ctx *ctx = NULL;

        if (sysconf(_SC_PAGESIZE) != MM_PAGE_SIZE)
                return -EOPNOTSUPP;
        ctx = malloc(sizeof(*ctx));
        if (!ctx)
                return -ENOMEM;
        *ctx = (struct mm_ctx) { .n_ref = 1, .proc_fd = -EBADF, .kpage = { -EBADF, -EBADF } };
        ctx->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (ctx->proc_fd < 0)
                return -errno;
        mm_kpage_open(ctx->proc_fd, &ctx->kpage);
        *ret = TAKE_PTR(ctx);
        return 0;
}

_public_ struct mm_ctx *mm_ctx_ref(struct mm_ctx *ctx)
{
        ctx->n_ref++;
        return ctx;
}

_public_ struct mm_ctx *mm_ctx_unref(struct mm_ctx *ctx)
{
        if (ctx && --ctx->n_ref == 0)
                ctx_free(ctx);
        return NULL;
}

_public_ void mm_ctx_set_log_fn(struct mm_ctx *ctx, mm_log_fn fn, void *userdata)
{
        ctx->log_fn = fn;
        ctx->log_userdata = userdata;
}

void mm_ctx_debug(struct mm_ctx *ctx, const char *format, ...)
{
        int saved_errno = errno;
        char message[MESSAGE_MAX];
        va_list ap;

        if (!ctx->log_fn)
                return;
        va_start(ap, format);
        (void) vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        ctx->log_fn(ctx->log_userdata, LOG_DEBUG, message);
        errno = saved_errno;
}

int mm_ctx_device(struct mm_ctx *ctx, struct mm_device **ret)
{
        struct mergemod_info info;
        int r;

        if (ctx->device) {
                *ret = ctx->device;
                return 0;
        }
        r = mm_device_open(MERGEMOD_DEVICE, &ctx->device, &info);
        switch (r) {
        case 0:
                mm_ctx_debug(ctx, "mergemod: interface %u, %llu of %llu frames in use", info.version,
                             (unsigned long long) info.frames, (unsigned long long) info.frames_max);
                *ret = ctx->device;
                return 0;
        case -ENOENT:
        case -ENODEV:
        case -ENXIO:
                return -ENOPKG;
        case -EPROTO:
                mm_ctx_debug(ctx, "mergemod: interface %u, wanted is %u", info.version, MERGEMOD_VERSION);
                return -EPROTO;
        case -EACCES:
                return -EPERM;
        default:
                return r;
        }
}

_public_ int mm_ctx_check_module(struct mm_ctx *ctx)
{
        struct mm_device *device;

        return mm_ctx_device(ctx, &device);
}

uint64_t mm_ctx_zero_frame(struct mm_ctx *ctx)
{
        if (!ctx->zero_frame_known)
                ctx->zero_frame = mm_zero_frame();
        ctx->zero_frame_known = true;
        return ctx->zero_frame;
}

int mm_ctx_buffer(struct mm_ctx *ctx, size_t size, uint8_t **ret)
{
        uint8_t *buffer;

        if (size > ctx->buffer_size) {
                buffer = aligned_alloc(MM_PAGE_SIZE, size);
                if (!buffer)
                        return -ENOMEM;
                free(ctx->buffer);
                ctx->buffer = buffer;
                ctx->buffer_size = size;
        }
        *ret = ctx->buffer;
        return 0;
}

static void add_ksm(struct mm_stats *stats)
{
        _cleanup_(closep) int root_fd = open(KSM_PATH, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct mm_ksm_counters counters;

        if (root_fd < 0 || mm_ksm_read(root_fd, &counters) < 0)
                return;
        stats->ksm_frames = counters.pages_shared;
        stats->ksm_mappings = counters.pages_sharing;
}

_public_ int mm_ctx_get_stats(struct mm_ctx *ctx, struct mm_stats *ret)
{
        struct mergemod_stats module = {};
        struct mm_device *device;
        struct mm_stats stats;
        int r;

        r = mm_ctx_device(ctx, &device);
        if (r >= 0)
                r = mm_device_stats(device, &module);
        if (r < 0 && r != -ENOPKG)
                return r;
        stats = (struct mm_stats) {
                .frames = module.frames,
                .frames_max = module.frames_max,
                .mappings = module.mappings,
                .merged = module.merged,
                .zero_merged = module.zero_merged,
                .freed = module.freed,
                .unmerged = module.unmerged,
                .differed = module.differed,
                .refused = module.refused_area + module.refused_page + module.refused_huge +
                           module.refused_busy + module.refused_domain + module.refused_limit +
                           module.refused_memory,
                .hashed = module.hashed,
                .lock_usec_max = module.lock_usec_max,
        };
        add_ksm(&stats);
        *ret = stats;
        return 0;
}
