/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/advise.h"
#include "lib/hash.h"
#include "lib/target.h"

/* Advices at a time. */
#define ADVICES_MAX 512U

/* How long one injection may take. */
#define INJECT_TIMEOUT_MSEC 1000U

struct advise_call {
        const struct mm_vmflags *flags;
        size_t n_flags;
        bool any_size;
        struct mm_advice *advices;
        size_t n, n_done;
};

static int advise(struct mm_device *device, uint32_t target, void *argument)
{
        struct advise_call *call = argument;

        call->n_done = mm_advise_by_module(device, target, call->flags, call->n_flags, call->any_size,
                                           call->advices, call->n, NULL, NULL);
        return 0;
}

static int error_of(enum mm_inject_result result, int error)
{
        switch (result) {
        case MM_INJECT_OK:
                return 0;
        case MM_INJECT_GONE:
                return -ESRCH;
        case MM_INJECT_TRACED:
                return -EBUSY;
        case MM_INJECT_SECCOMP:
        case MM_INJECT_NAMESPACE:
        case MM_INJECT_BITS:
                return -EOPNOTSUPP;
        case MM_INJECT_FAILED:
                return error < 0 ? error : -EIO;
        default:
                return -EAGAIN;
        }
}

/* The same of two ways as the service goes: mergemod, then a thread of the target. */
static int give(struct mm_target *t, const struct mm_vmflags *flags, size_t n_flags,
                struct mm_advice *advices, size_t n)
{
        struct advise_call call = { .flags = flags, .n_flags = n_flags, .advices = advices, .n = n };
        enum mm_inject_result result;
        int error = 0;

        (void) mm_target_call(t, advise, &call);
        if (call.n_done == n)
                return 0;
        call.advices += call.n_done;
        call.n -= call.n_done;
        call.n_done = 0;
        result = mm_inject_advise(&t->process, call.advices, call.n, INJECT_TIMEOUT_MSEC, &error, NULL);
        if (result == MM_INJECT_OK)
                return 0;
        mm_ctx_debug(t->ctx, "process %d: %s", (int) t->process.pid, mm_inject_result_name(result));
        /* Where no thread can be had, better at once than not at all. */
        call.any_size = true;
        (void) mm_target_call(t, advise, &call);
        return call.n_done == call.n ? 0 : error_of(result, error);
}

static uint64_t count_registered(const struct mm_vmflags *flags, size_t n, uint64_t start, uint64_t end)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < n; i++) {
                uint64_t from = MAX(flags[i].start, start), to = MIN(flags[i].end, end);

                if (from < to && flags[i].flags & MM_VM_MERGEABLE)
                        bytes += to - from;
        }
        return bytes;
}

/* What the kernel says afterwards is what was done. */
static int count_done(struct mm_target *t, const struct mm_advice *advices, size_t n, bool merge,
                      uint64_t *bytes)
{
        _cleanup_(freep) struct mm_vmflags *flags = NULL;
        size_t n_flags;
        int r;

        r = mm_vmflags_read(t->process.dir_fd, &flags, &n_flags);
        for (size_t i = 0; i < n && r >= 0; i++) {
                uint64_t registered = count_registered(flags, n_flags, advices[i].start, advices[i].end);

                *bytes += merge ? registered : advices[i].end - advices[i].start - registered;
        }
        return r;
}

static int first_error(const struct mm_advice *advices, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (advices[i].status < 0)
                        return advices[i].status;
        return 0;
}

static int change(struct mm_target *t, uint64_t start, uint64_t end, bool merge, uint64_t *ret_bytes)
{
        struct mm_advice items[ADVICES_MAX];
        uint64_t bytes = 0;
        int r = 0;

        if ((start | end) % MM_PAGE_SIZE != 0 || start >= end)
                return -EINVAL;
        while (start < end && r >= 0) {
                _cleanup_(freep) struct mm_vmflags *flags = NULL;
                struct mm_advices a = { .items = items, .max = ELEMENTSOF(items) };
                size_t n_flags = 0;
                int k;

                r = mm_vmflags_read(t->process.dir_fd, &flags, &n_flags);
                if (r < 0)
                        break;
                mm_advices_add(&a, flags, n_flags, start, end, merge,
                               merge ? MM_VM_SPECIAL | MM_VM_PRIVATE : 0);
                start = a.n == a.max ? a.items[a.n - 1].end : end;
                if (a.n == 0)
                        break;
                r = give(t, flags, n_flags, a.items, a.n);
                k = count_done(t, a.items, a.n, merge, &bytes);
                r = r < 0 ? r : k;
                if (r >= 0 && bytes == 0)
                        r = first_error(a.items, a.n);
        }
        /* In part it is done. */
        if (r < 0 && bytes == 0)
                return r;
        if (ret_bytes)
                *ret_bytes = bytes;
        return 0;
}

_public_ int mm_target_ksm_register(struct mm_target *t, uint64_t start, uint64_t end, uint64_t *ret_bytes)
{
        return change(t, start, end, true, ret_bytes);
}

_public_ int mm_target_ksm_unregister(struct mm_target *t, uint64_t start, uint64_t end, uint64_t *ret_bytes)
{
        return change(t, start, end, false, ret_bytes);
}
