/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/kernel-page-flags.h>

#include "daemon/worker-child.h"
#include "lib/vmflags.h"

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

/* Kernels before 6.16 do not say whether memory is registered, and what KSM keeps track of only shows
 * once ksmd came by: there the areas themselves are asked. */
static int read_ksm(int dir_fd, struct mm_ksm_process *ret)
{
        _cleanup_(freep) struct mm_vmflags *flags = NULL;
        size_t n_flags;
        int r;

        *ret = (struct mm_ksm_process) { .mergeable = -1 };
        r = mm_ksm_process_read(dir_fd, ret);
        if ((r < 0 && r != -ENOENT) || ret->mergeable >= 0)
                return r;
        r = mm_vmflags_read(dir_fd, &flags, &n_flags);
        if (r < 0)
                return r;
        ret->mergeable = (mm_vmflags_of(flags, n_flags, 0, UINT64_MAX) & MM_VM_MERGEABLE) != 0;
        return 0;
}

int worker_child_census(struct worker_child *w, int dir_fd)
{
        struct mm_ksm_process figures = {};
        union worker_packet row;

        worker_packet_init(&row, WORKER_ROW_KSM, sizeof(row.ksm_row));
        row.ksm_row.error = read_ksm(dir_fd, &figures);
        row.ksm_row.rmap_items = figures.rmap_items;
        row.ksm_row.merging_pages = figures.merging_pages;
        row.ksm_row.zero_pages = figures.zero_pages;
        row.ksm_row.mergeable = figures.mergeable;
        return worker_child_send(w, &row);
}

static int send_areas(struct worker_child *w, union worker_packet *row)
{
        int r;

        if (row->ranges.n == 0)
                return 0;
        row->header.size = (uint32_t) (sizeof(row->ranges) + row->ranges.n * sizeof(*row->ranges.ranges));
        r = worker_child_send(w, row);
        row->ranges.n = 0;
        return r;
}

int worker_child_areas(struct worker_child *w, int dir_fd)
{
        _cleanup_(freep) struct mm_vmflags *flags = NULL;
        union worker_packet row;
        size_t n_flags;
        int r;

        r = mm_vmflags_read(dir_fd, &flags, &n_flags);
        if (r < 0)
                return r == -ENOMEM ? r : 0; /* gone: it has none */
        worker_packet_init(&row, WORKER_ROW_AREAS, sizeof(row.ranges));
        for (size_t i = 0; i < n_flags && r >= 0; i++) {
                if ((flags[i].flags & MM_VM_MERGEABLE) == 0)
                        continue;
                row.ranges.ranges[row.ranges.n++] =
                        (struct worker_range) { .start = flags[i].start, .end = flags[i].end };
                if (row.ranges.n == WORKER_RANGES_MAX)
                        r = send_areas(w, &row);
        }
        return r < 0 ? r : send_areas(w, &row);
}
