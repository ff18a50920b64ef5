/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/page-kind.h"

#include <linux/kernel-page-flags.h>

#define KPF(name) (UINT64_C(1) << KPF_##name)

/* It is on none of the kernel's lists and nobody's; a page of a file that was mapped there since is on
 * one. */
bool mm_frame_is_direct(uint64_t flags)
{
        return (flags & (KPF(ANON) | KPF(LRU) | KPF(SWAPBACKED))) == 0;
}

static bool is_anonymous(const struct mm_area *area)
{
        return !(area->flags & MM_AREA_MAYSHARE) &&
               (area->kind == MM_AREA_ANON || area->kind == MM_AREA_NAMED_ANON ||
                area->kind == MM_AREA_HEAP || area->kind == MM_AREA_STACK);
}

enum mm_page_kind mm_page_kind(const struct mm_page *page, uint64_t count, uint64_t flags,
                               const struct mm_area *area)
{
        if (page->flags & MM_PAGE_SWAPPED)
                return MM_PAGE_IS_SWAPPED;
        if ((page->flags & MM_PAGE_ZERO) || (flags & KPF(ZERO_PAGE)))
                return MM_PAGE_IS_ZERO;
        if (page->frame == 0)
                return MM_PAGE_IS_UNKNOWN;
        if (flags & KPF(HUGE))
                return MM_PAGE_IS_HUGETLB;
        /* Frames that the kernel maps without counting are not the process's to account. */
        if (count == 0)
                return MM_PAGE_IS_NOTHING;
        if (page->flags & MM_PAGE_FILE)
                return is_anonymous(area) && mm_frame_is_direct(flags) ? MM_PAGE_IS_DIRECT : MM_PAGE_IS_FILE;
        /* Neither of a file nor anonymous, or anonymous and yet in a shared area: somebody's frame that a
         * driver has put there. */
        if (!(flags & KPF(ANON)) || (area->flags & MM_AREA_MAYSHARE))
                return MM_PAGE_IS_NOTHING;
        return flags & KPF(KSM) ? MM_PAGE_IS_KSM : MM_PAGE_IS_ANON;
}
