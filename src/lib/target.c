/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/target.h"

#include <fcntl.h>
#include <poll.h>

#include "lib/maps.h"
#include "lib/text.h"
#include "lib/vmflags.h"

#define FDINFO_MAX 4096U

/* In areas with these mergemod merges nothing. */
#define REFUSED (MM_VM_PRIVATE | MM_VM_SPECIAL | MM_VM_MERGEABLE)

static int target_new(struct mm_ctx *ctx, pid_t pid, uint64_t start_ticks, bool briefly,
                      struct mm_target **ret)
{
        _cleanup_(mm_target_unrefp) struct mm_target *t = NULL;
        int r;

        t = malloc(sizeof(*t));
        if (!t)
                return -ENOMEM;
        *t = (struct mm_target) {
                .n_ref = 1,
                .ctx = mm_ctx_ref(ctx),
                .next = ctx->targets,
                .process = MM_PROCESS_NULL,
                .mem_fd = -EBADF,
        };
        ctx->targets = t;
        if (briefly)
                r = mm_process_open_briefly(ctx->proc_fd, pid, &t->process);
        else
                r = mm_process_open(ctx->proc_fd, pid, true, &t->process);
        if (r < 0)
                return r;
        if (t->process.kernel_thread || (start_ticks > 0 && t->process.start_ticks != start_ticks))
                return -ESRCH;
        *ret = TAKE_PTR(t);
        return 0;
}

_public_ int mm_target_new_from_pid(struct mm_ctx *ctx, pid_t pid, uint64_t start_ticks,
                                    struct mm_target **ret)
{
        return target_new(ctx, pid, start_ticks, false, ret);
}

int mm_target_new_briefly(struct mm_ctx *ctx, pid_t pid, struct mm_target **ret)
{
        return target_new(ctx, pid, 0, true, ret);
}

static int parse_fdinfo(const char *text, size_t size, pid_t *ret)
{
        struct mm_text rest = { text, text + size }, line;
        uint64_t pid;

        while (mm_text_until(&rest, '\n', &line)) {
                if (!mm_text_prefix(&line, "Pid:\t"))
                        continue;
                /* -1 once it is gone. */
                if (!mm_text_number(&line, 10, &pid) || pid < 1 || pid > INT32_MAX)
                        return -ESRCH;
                *ret = (pid_t) pid;
                return 0;
        }
        return -EBADF; /* no pidfd */
}

static int pid_of(const struct mm_ctx *ctx, int pidfd, pid_t *ret)
{
        _cleanup_(freep) char *text = NULL;
        char path[sizeof("self/fdinfo/2147483647")];
        size_t size;
        int r;

        if (pidfd < 0)
                return -EBADF;
        (void) snprintf(path, sizeof(path), "self/fdinfo/%d", pidfd);
        r = mm_read_file(ctx->proc_fd, path, 512, FDINFO_MAX, &text, &size);
        if (r < 0)
                return r == -ENOENT ? -EBADF : r;
        return parse_fdinfo(text, size, ret);
}

_public_ int mm_target_new_from_pidfd(struct mm_ctx *ctx, int pidfd, struct mm_target **ret)
{
        _cleanup_(mm_target_unrefp) struct mm_target *t = NULL;
        struct pollfd end = { .fd = pidfd, .events = POLLIN };
        pid_t pid;
        int r;

        r = pid_of(ctx, pidfd, &pid);
        if (r < 0)
                return r;
        r = target_new(ctx, pid, 0, false, &t);
        if (r < 0)
                return r;
        /* While it lives the number is its own. */
        if (poll(&end, 1, 0) < 0)
                return -errno;
        if (end.revents)
                return -ESRCH;
        *ret = TAKE_PTR(t);
        return 0;
}

_public_ struct mm_target *mm_target_ref(struct mm_target *t)
{
        t->n_ref++;
        return t;
}

static void detach(struct mm_target *t)
{
        struct mm_ctx *ctx = t->ctx;

        for (const struct mm_target *other = ctx->targets; other; other = other->next)
                if (other != t && other->attached == t->attached)
                        return;
        if (t->attached > 0 && ctx->device)
                mm_device_detach(ctx->device, t->attached);
}

_public_ struct mm_target *mm_target_unref(struct mm_target *t)
{
        struct mm_target **link;

        if (!t || --t->n_ref > 0)
                return NULL;
        detach(t);
        for (link = &t->ctx->targets; *link != t;)
                link = &(*link)->next;
        *link = t->next;
        mm_process_done(&t->process);
        mm_pagemap_free(t->pagemap);
        safe_close(t->mem_fd);
        free(t->spans);
        mm_ctx_unref(t->ctx);
        free(t);
        return NULL;
}

_public_ pid_t mm_target_get_pid(const struct mm_target *t)
{
        return t->process.pid;
}

_public_ uint64_t mm_target_get_start_ticks(const struct mm_target *t)
{
        return t->process.start_ticks;
}

_public_ uid_t mm_target_get_uid(const struct mm_target *t)
{
        return t->process.euid;
}

_public_ const char *mm_target_get_exe(const struct mm_target *t)
{
        return t->process.exe;
}

_public_ int mm_target_is_alive(const struct mm_target *t)
{
        return mm_process_verify(&t->process) >= 0;
}

int mm_target_open_memory(struct mm_target *t)
{
        int r;

        if (!t->pagemap) {
                r = mm_pagemap_open(t->process.dir_fd, &t->pagemap);
                if (r < 0)
                        return r;
        }
        if (t->mem_fd < 0) {
                t->mem_fd = openat(t->process.dir_fd, "mem", O_RDONLY | O_CLOEXEC | O_NOCTTY);
                if (t->mem_fd < 0)
                        return errno == ENOENT ? -ESRCH : -errno;
        }
        return 0;
}

static bool is_anonymous(const struct mm_area *area)
{
        if (area->flags & MM_AREA_MAYSHARE)
                return false;
        switch (area->kind) {
        case MM_AREA_ANON:
        case MM_AREA_NAMED_ANON:
        case MM_AREA_HEAP:
        case MM_AREA_STACK:
                return true;
        default:
                return false;
        }
}

int mm_target_read_spans(struct mm_target *t, bool refused)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        _cleanup_(freep) struct mm_vmflags *flags = NULL;
        _cleanup_(freep) struct mm_span *spans = NULL;
        size_t n_flags = 0, n = 0;
        int r;

        r = mm_areas_read(t->process.dir_fd, &areas);
        if (r >= 0 && refused)
                r = mm_vmflags_read(t->process.dir_fd, &flags, &n_flags);
        if (r < 0)
                return r;
        spans = calloc(MAX(areas.n, (size_t) 1), sizeof(*spans));
        if (!spans)
                return -ENOMEM;
        for (size_t i = 0; i < areas.n; i++) {
                const struct mm_area *area = &areas.items[i];

                if (!is_anonymous(area) ||
                    (mm_vmflags_of(flags, n_flags, area->start, area->end) & REFUSED) != 0)
                        continue;
                if (n > 0 && spans[n - 1].end == area->start)
                        spans[n - 1].end = area->end;
                else
                        spans[n++] = (struct mm_span) { area->start, area->end };
        }
        free(t->spans);
        t->spans = TAKE_PTR(spans);
        t->n_spans = n;
        t->spans_filtered = refused;
        return 0;
}

static int attach(struct mm_target *t, struct mm_device **ret_device, uint32_t *ret)
{
        struct mm_device *device;
        int r;

        r = mm_ctx_device(t->ctx, &device);
        if (r < 0)
                return r;
        if (t->gone)
                return -ESRCH;
        if (t->attached == 0) {
                r = mm_device_attach(device, t->process.pid, t->process.start_ticks, t->process.dir_fd,
                                     &t->attached);
                if (r < 0) {
                        mm_ctx_debug(t->ctx, "process %d: mergemod does not take it: %s",
                                     (int) t->process.pid, strerror(-r));
                        return r == -EACCES ? -EPERM : r;
                }
        }
        *ret_device = device;
        *ret = t->attached;
        return 0;
}

void mm_target_forget_number(struct mm_ctx *ctx, uint32_t number)
{
        for (struct mm_target *t = ctx->targets; t; t = t->next)
                if (t->attached == number) {
                        t->attached = 0;
                        t->gone = t->met;
                }
        mm_device_detach(ctx->device, number);
}

/* Mergemod says -ESRCH. True if another try is worth it: the number may be that of another target of the
 * same process, which has executed another program since. */
static bool forget(struct mm_target *t)
{
        mm_target_forget_number(t->ctx, t->attached);
        return !t->gone;
}

int mm_target_call(struct mm_target *t, mm_target_call_t call, void *argument)
{
        struct mm_device *device;
        uint32_t number;
        int r;

        r = attach(t, &device, &number);
        if (r < 0)
                return r;
        r = call(device, number, argument);
        if (r == -ESRCH && forget(t)) {
                r = attach(t, &device, &number);
                if (r < 0)
                        return r;
                r = call(device, number, argument);
        }
        if (r >= 0)
                t->met = true;
        return r;
}

static int probe(struct mm_device *device, uint32_t target, void *unused)
{
        struct mergemod_page page = {};

        return mm_device_hash(device, target, 0, 0, &page, 1);
}

int mm_target_meet(struct mm_target *t, struct mm_device **ret_device, uint32_t *ret)
{
        int r = 0;

        if (!t->met || t->gone)
                r = mm_target_call(t, probe, NULL);
        return r < 0 ? r : attach(t, ret_device, ret);
}
