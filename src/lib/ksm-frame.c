/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/ksm-frame.h"

#include <linux/kernel-page-flags.h>

#include "lib/hash.h"

#define KSM_BIT (UINT64_C(1) << KPF_KSM)

uint64_t mm_ksm_judge(uint64_t flags, bool vague, const struct mm_page *page, uint32_t area)
{
        if (!vague || ((area & MM_VM_HAS_KSM) && !(page->flags & MM_PAGE_EXCLUSIVE)))
                return flags;
        return flags & ~KSM_BIT;
}

int mm_ksm_areas_read(const struct mm_kpage *k, int process_fd, struct mm_ksm_areas *ret)
{
        struct mm_ksm_areas a = { .vague = k->ksm_is_vague };

        if (a.vague) {
                int r = mm_vmflags_read(process_fd, &a.items, &a.n);

                if (r < 0)
                        return r;
        }
        *ret = a;
        return 0;
}

void mm_ksm_areas_done(struct mm_ksm_areas *a)
{
        free(a->items);
        *a = (struct mm_ksm_areas) {};
}

uint64_t mm_ksm_areas_judge(const struct mm_ksm_areas *a, const struct mm_page *page, uint64_t flags)
{
        uint32_t area = 0;

        if (a->vague && (flags & KSM_BIT))
                area = mm_vmflags_of(a->items, a->n, page->address, page->address + MM_PAGE_SIZE);
        return mm_ksm_judge(flags, a->vague, page, area);
}
