/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/usage.h"

#include "lib/hash.h"

uint64_t mm_pss_share(uint64_t count)
{
        uint64_t page = (uint64_t)MM_PAGE_SIZE << MM_PSS_SHIFT;

        return count > 1 ? page / count : page;
}

static void count_resident(struct mm_usage *u, const struct mm_seen *s)
{
        u->rss_pages++;
        u->uss_pages += s->count == 1;
        u->pss += mm_pss_share(s->count);
        u->direct_pages += s->kind == MM_PAGE_IS_DIRECT;
        u->ksm_pages += s->kind == MM_PAGE_IS_KSM;
}

void mm_usage_count(struct mm_usage *u, const struct mm_seen *seen, size_t n)
{
        for (size_t i = 0; i < n; i++)
                switch (seen[i].kind) {
                case MM_PAGE_IS_ANON:
                case MM_PAGE_IS_FILE:
                case MM_PAGE_IS_KSM:
                case MM_PAGE_IS_DIRECT:
                        count_resident(u, &seen[i]);
                        break;
                case MM_PAGE_IS_SWAPPED:
                        u->swap_pages++;
                        break;
                case MM_PAGE_IS_ZERO:
                        u->zero_pages++;
                        break;
                case MM_PAGE_IS_HUGETLB:
                        u->hugetlb_pages++;
                        break;
                case MM_PAGE_IS_UNKNOWN:
                        u->unknown_pages++;
                        break;
                case MM_PAGE_IS_NOTHING:
                case MM_PAGE_KIND_MAX_:
                        break;
                }
}

void mm_usage_add(struct mm_usage *sum, const struct mm_usage *u)
{
        sum->rss_pages += u->rss_pages;
        sum->uss_pages += u->uss_pages;
        sum->pss += u->pss;
        sum->swap_pages += u->swap_pages;
        sum->direct_pages += u->direct_pages;
        sum->ksm_pages += u->ksm_pages;
        sum->zero_pages += u->zero_pages;
        sum->hugetlb_pages += u->hugetlb_pages;
        sum->unknown_pages += u->unknown_pages;
}
