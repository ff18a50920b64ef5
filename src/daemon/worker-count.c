/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/kernel-page-flags.h>
#include <sys/mman.h>

#include "daemon/worker-child.h"
#include "lib/ksm-frame.h"
#include "lib/page-kind.h"
#include "lib/vmflags.h"

/* Bits for all frames that records can name; only the pages of it that are used take memory. */
#define COUNTED_FRAMES (UINT64_C(1) << 32)
#define COUNTED_BYTES (COUNTED_FRAMES / 8)

struct counting {
        struct worker_child *w;
        struct mm_ksm_areas ksm;
        uint64_t n_merged, n_shared, n_zero;
};

/* The flags of a page's frame say whether it is KSM's. */
static int count_pages(void *userdata, const struct mm_page *pages, size_t n)
{
        struct counting *c = userdata;

        for (size_t i = 0; i < n; i++) {
                uint64_t flags;

                c->n_zero += (pages[i].flags & MM_PAGE_ZERO) != 0;
                if ((pages[i].flags & (MM_PAGE_PRESENT | MM_PAGE_FILE | MM_PAGE_ZERO)) != MM_PAGE_PRESENT ||
                    pages[i].frame == 0)
                        continue;
                if (mm_kpage_flags(&c->w->kpage, pages[i].frame, &flags, 1) == 1 &&
                    (mm_ksm_areas_judge(&c->ksm, &pages[i], flags) & (1ULL << KPF_KSM)) != 0)
                        c->n_merged++;
        }
        c->w->n_pages += n;
        return worker_child_tick(c->w);
}

static bool is_counted(const struct worker_child *w, uint64_t frame)
{
        return frame < COUNTED_FRAMES && (w->counted[frame / 64] & UINT64_C(1) << (frame % 64)) != 0;
}

static bool is_direct(struct worker_child *w, uint64_t frame)
{
        uint64_t flags;

        return mm_kpage_flags(&w->kpage, frame, &flags, 1) == 1 && mm_frame_is_direct(flags);
}

static int find_direct(void *userdata, const struct mm_page *pages, size_t n)
{
        struct counting *c = userdata;

        for (size_t i = 0; i < n && c->n_merged == 0; i++)
                c->n_merged += (pages[i].flags & (MM_PAGE_PRESENT | MM_PAGE_FILE | MM_PAGE_ZERO)) ==
                                       (MM_PAGE_PRESENT | MM_PAGE_FILE) &&
                               pages[i].frame != 0 && is_direct(c->w, pages[i].frame);
        return worker_child_tick(c->w);
}

int worker_child_has_merged(struct worker_child *w, int dir_fd, uint64_t start, uint64_t end)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pagemap = NULL;
        struct counting c = { .w = w };
        int r;

        r = mm_pagemap_open(dir_fd, &pagemap);
        if (r >= 0)
                r = mm_pages_walk(pagemap, start, end, 0, find_direct, &c, NULL);
        return r < 0 ? r : c.n_merged > 0;
}

static int count_direct(void *userdata, const struct mm_page *pages, size_t n)
{
        struct counting *c = userdata;

        for (size_t i = 0; i < n; i++) {
                if ((pages[i].flags & MM_PAGE_PRESENT) == 0)
                        continue;
                if ((pages[i].flags & MM_PAGE_ZERO) != 0) {
                        c->n_merged++;
                        c->n_zero++;
                        continue;
                }
                if ((pages[i].flags & MM_PAGE_FILE) == 0 || pages[i].frame == 0)
                        continue;
                if (is_counted(c->w, pages[i].frame)) {
                        c->n_merged++;
                        continue;
                }
                if (!is_direct(c->w, pages[i].frame))
                        continue;
                c->n_merged++;
                if (pages[i].frame >= COUNTED_FRAMES)
                        continue;
                c->n_shared++;
                c->w->counted[pages[i].frame / 64] |= UINT64_C(1) << (pages[i].frame % 64);
        }
        c->w->n_pages += n;
        return worker_child_tick(c->w);
}

/* Forgets the frames of the last count. */
static int begin_count(struct worker_child *w)
{
        if (w->counted)
                return madvise(w->counted, COUNTED_BYTES, MADV_DONTNEED) < 0 ? -errno : 0;
        w->counted = mmap(NULL, COUNTED_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (w->counted == MAP_FAILED) {
                w->counted = NULL;
                return -errno;
        }
        return 0;
}

static int count(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd,
                 struct worker_ksm_row *ret)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pagemap = NULL;
        bool direct = ranges->flags & WORKER_RANGES_DIRECT;
        struct counting c = { .w = w };
        int r;

        r = mm_pagemap_open(dir_fd, &pagemap);
        if (r >= 0 && !direct)
                r = mm_ksm_areas_read(&w->kpage, dir_fd, &c.ksm);
        for (uint32_t i = 0; i < ranges->n && r >= 0; i++) {
                const struct counting before = c;

                r = mm_pages_walk(pagemap, ranges->ranges[i].start, ranges->ranges[i].end, 0,
                                  direct ? count_direct : count_pages, &c, NULL);
                ret->counts[i] = (struct worker_range_count) {
                        .n_merged = (uint32_t) (c.n_merged - before.n_merged),
                        .n_zero = (uint32_t) (c.n_zero - before.n_zero),
                };
        }
        mm_ksm_areas_done(&c.ksm);
        if (r < 0)
                return r;
        ret->header.size += (uint32_t) (ranges->n * sizeof(ret->counts[0]));
        ret->merging_pages = c.n_merged;
        ret->shared_frames = c.n_shared;
        return 0;
}

/* ksm_merging_pages of a process only falls when ksmd comes by again, which it does not while it is
 * stopped; so pages are counted where they are. Only what goes to the kernel's zero page is counted
 * by the kernel the moment it changes. */
int worker_child_count(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd)
{
        struct mm_ksm_process figures = {};
        bool direct = ranges->flags & WORKER_RANGES_DIRECT;
        union worker_packet row;
        int r;

        if (ranges->header.size != sizeof(*ranges) + ranges->n * sizeof(struct worker_range) ||
            ranges->n > WORKER_RANGES_MAX || dir_fd < 0)
                return -EBADMSG;
        if ((direct && !w->counted) || (ranges->flags & WORKER_RANGES_FIRST) != 0) {
                /* Those that have ended hold memory of the kernel's as long as they are attached. */
                if (w->device)
                        mm_device_sweep(w->device);
                r = begin_count(w);
                if (r < 0)
                        return r;
        }
        worker_packet_init(&row, WORKER_ROW_KSM, sizeof(row.ksm_row));
        r = count(w, ranges, dir_fd, &row.ksm_row);
        if (r == -ECANCELED || r == -EPIPE)
                return r;
        if (r >= 0 && !direct)
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
