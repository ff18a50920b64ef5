/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/device.h"
#include "lib/elf.h"
#include "lib/kpage.h"
#include "lib/mmlib.h"

/* A context from the inside: what one session has open. */

/* Where pread() of /proc/PID/mem stops getting faster. */
#define MM_CTX_BUFFER (256U * 1024U)

struct mm_ctx {
        unsigned n_ref;
        int proc_fd;
        struct mm_device *device; /* NULL: not needed yet, or not there */
        struct mm_kpage kpage;
        uint64_t zero_frame; /* see mm_ctx_zero_frame() */
        bool zero_frame_known;
        struct mm_elf_cache *elf_cache; /* NULL: not needed yet */
        struct mm_target *targets; /* all there are, linked; not owned */
        mm_log_fn log_fn;
        void *log_userdata;
        struct mm_look *look; /* what does not belong on a stack; NULL: not needed yet */
        uint8_t *buffer;      /* for pages read; page-aligned */
        size_t buffer_size;
};
DEFINE_CLEANUP_FUNC(struct mm_ctx *, mm_ctx_unref)

/* mergemod. 0, or as mm_ctx_check_module(). */
int mm_ctx_device(struct mm_ctx *ctx, struct mm_device **ret);

/* The frame of the kernel's page of zeros; 0: we are not told of frames. */
uint64_t mm_ctx_zero_frame(struct mm_ctx *ctx);

/* Room for @size bytes, page-aligned, valid until the next call. 0 or -ENOMEM. */
int mm_ctx_buffer(struct mm_ctx *ctx, size_t size, uint8_t **ret);

/* One line at LOG_DEBUG. errno stays as it is. */
void mm_ctx_debug(struct mm_ctx *ctx, const char *format, ...) _printf_(2, 3);
