/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/kernel-page-flags.h>

#include "daemon/worker-child.h"

struct counting {
        struct worker_child *w;
        uint64_t n_ksm;
};

/* Only a page that is mapped more than once can be KSM's; its flags say whether it is. */
static int count_pages(void *userdata, const struct mm_page *pages, size_t n)
{
        struct counting *c = userdata;

        for (size_t i = 0; i < n; i++) {
                uint64_t flags;

                if ((pages[i].flags & (MM_PAGE_PRESENT | MM_PAGE_FILE | MM_PAGE_ZERO)) != MM_PAGE_PRESENT ||
                    pages[i].frame == 0)
                        continue;
                if (mm_kpage_flags(&c->w->kpage, pages[i].frame, &flags, 1) == 1 &&
                    (flags & (1ULL << KPF_KSM)) != 0)
                        c->n_ksm++;
        }
        c->w->n_pages += n;
        return worker_child_tick(c->w);
}

static int count(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd, uint64_t *ret)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pagemap = NULL;
        struct counting c = { .w = w };
        int r;

        r = mm_pagemap_open(dir_fd, &pagemap);
        for (uint32_t i = 0; i < ranges->n && r >= 0; i++)
                r = mm_pages_walk(pagemap, ranges->ranges[i].start, ranges->ranges[i].end, 0, count_pages,
                                  &c, NULL);
        if (r < 0)
                return r;
        *ret = c.n_ksm;
        return 0;
}

/* ksm_merging_pages of a process only falls when ksmd comes by again, which it does not while it is
 * stopped; so pages are counted where they are. Only what goes to the kernel's zero page is counted
 * by the kernel the moment it changes. */
int worker_child_count(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd)
{
        struct mm_ksm_process figures = {};
        union worker_packet row;
        int r;

        if (ranges->header.size != sizeof(*ranges) + ranges->n * sizeof(struct worker_range) ||
            ranges->n > WORKER_RANGES_MAX || dir_fd < 0)
                return -EBADMSG;
        worker_packet_init(&row, WORKER_ROW_KSM, sizeof(row.ksm_row));
        r = count(w, ranges, dir_fd, &row.ksm_row.merging_pages);
        if (r == -ECANCELED || r == -EPIPE)
                return r;
        if (r >= 0)
                r = mm_ksm_process_read(dir_fd, &figures);
        row.ksm_row.error = r;
        row.ksm_row.rmap_items = figures.rmap_items;
        row.ksm_row.zero_pages = figures.zero_pages;
        row.ksm_row.mergeable = figures.mergeable;
        return worker_child_send(w, &row);
}
