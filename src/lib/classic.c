/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/classic.h"

#include <fcntl.h>
#include <limits.h>

/* The last address, which stands for the end of memory. */
#define END_OF_MEMORY UINTPTR_MAX

ssize_t mm_classic_result(ssize_t r)
{
        if (r >= 0)
                return r;
        errno = r == -EACCES ? EPERM : (int) -r;
        return -1;
}

static int open_context(struct mm_ctx **ret)
{
        _cleanup_(mm_ctx_unrefp) struct mm_ctx *ctx = NULL;
        int r;

        r = mm_ctx_new(&ctx);
        if (r < 0)
                return r;
        r = mm_ctx_check_module(ctx);
        if (r < 0 && r != -ENOPKG && r != -EPERM)
                return r;
        /* Without mergemod it takes both. */
        if (r < 0 && (mm_ctx_zero_frame(ctx) == 0 || ctx->kpage.count_fd < 0))
                return faccessat(ctx->proc_fd, "kpagecount", F_OK, 0) < 0 ||
                                       faccessat(ctx->proc_fd, "self/pagemap", F_OK, 0) < 0 ?
                               -ENOPKG :
                               -EPERM;
        *ret = TAKE_PTR(ctx);
        return 0;
}

int mm_classic_open_target(pid_t pid, struct mm_target **ret)
{
        _cleanup_(mm_ctx_unrefp) struct mm_ctx *ctx = NULL;
        int r;

        r = open_context(&ctx);
        return r < 0 ? r : mm_target_new_briefly(ctx, pid, ret);
}

/* Page infos of whole pages. *@ret_next: the first page not examined, 0 if there is none. */
static ssize_t get_page_infos(struct mm_target *t, uint64_t start, uint64_t end, MPAGEINFO *infos,
                              size_t nel, uint64_t *ret_next)
{
        struct mm_page_info pages[128];
        size_t n_done = 0;

        do {
                /* One more than there is room for tells whether that was all. */
                size_t wanted = nel > n_done ? MIN(nel - n_done, ELEMENTSOF(pages)) : 1;
                ssize_t n;

                n = mm_target_scan(t, &start, end, NULL, pages, wanted);
                if (n < 0)
                        return n;
                if (n > 0 && n_done == nel) {
                        *ret_next = pages[0].address;
                        return (ssize_t) nel;
                }
                for (ssize_t i = 0; i < n; i++, n_done++) {
                        infos[n_done].v_addr = (const void *) (uintptr_t) pages[i].address;
                        infos[n_done].p_addr = mm_classic_physical(&pages[i]);
                        infos[n_done].count = (size_t) pages[i].count;
                }
        } while (start < end);
        *ret_next = 0;
        return (ssize_t) n_done;
}

static ssize_t getpageinfos(pid_t pid, uint64_t start, uint64_t end, MPAGEINFO *pageinfos, size_t nel,
                            const void **contp)
{
        _cleanup_(mm_target_unrefp) struct mm_target *t = NULL;
        uint64_t next = 0;
        ssize_t n = 0;
        int r;

        if (nel == 0 || nel > SSIZE_MAX / sizeof(*pageinfos) || start > end)
                return -EINVAL;
        r = mm_classic_check_memory(pageinfos, nel * sizeof(*pageinfos), true);
        if (r >= 0 && contp)
                r = mm_classic_check_memory(contp, sizeof(*contp), true);
        if (r >= 0)
                r = mm_classic_open_target(pid, &t);
        if (r < 0)
                return r;
        if (start < end) {
                /* The last page of the address space is never a process's. */
                if (end % MM_PAGE_SIZE != 0 && end < END_OF_MEMORY - MM_PAGE_SIZE)
                        end += MM_PAGE_SIZE;
                start -= start % MM_PAGE_SIZE;
                end -= end % MM_PAGE_SIZE;
                n = get_page_infos(t, start, end, pageinfos, nel, &next);
        }
        if (n >= 0 && contp)
                *contp = (const void *) (uintptr_t) next;
        return n;
}

_public_ ssize_t m_getpageinfos(pid_t pid, const void *start, const void *end, MPAGEINFO *pageinfos,
                                size_t nel, const void **contp)
{
        return mm_classic_result(
                getpageinfos(pid, (uintptr_t) start, (uintptr_t) end, pageinfos, nel, contp));
}
