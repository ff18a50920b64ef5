/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/pages.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/hash.h"

/* Words of pagemap, Documentation/admin-guide/mm/pagemap.rst. */
#define WORD_FRAME ((UINT64_C(1) << 55) - 1)
#define WORD_EXCLUSIVE (UINT64_C(1) << 56)
#define WORD_FILE (UINT64_C(1) << 61)
#define WORD_SWAPPED (UINT64_C(1) << 62)
#define WORD_PRESENT (UINT64_C(1) << 63)
#define WORD_SWAP_TYPE UINT64_C(0x1f)

/* The last types of swap entries are no swap: guard regions, pages under migration or with a memory error,
 * memory of devices. How many depends on the kernel, and is at most ten: so many are swap in any case. */
#define SWAP_TYPES_MIN 22U

/* PAGEMAP_SCAN, the same document. The headers of Linux before 6.7 do not have it, the running
 * kernel may. */
struct scan_region {
        uint64_t start, end, categories;
};

struct scan_arg {
        uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
        uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)

enum {
        SCAN_PRESENT = 1 << 3,
        SCAN_SWAPPED = 1 << 4,
        SCAN_ZERO_FRAME = 1 << 5,
};

#define SCAN_REGIONS 64U

/* The kernel holds mmap_lock for as long as one call takes: about 100 us for 32 MiB. */
#define SCAN_PAGES_MAX 8192U

/* Words of pagemap between ticks on kernels without PAGEMAP_SCAN: 4 GiB of address space, a few
 * milliseconds. */
#define SLICE_WORDS (UINT64_C(1) << 20)
/* So many slices in a row without a page are a reservation, as big as the address space allows. */
#define EMPTY_SLICES_MAX 64U

/* 16 MiB of address space a read where there is nothing but reading: holes are most of it. */
#define BULK_WORDS 4096U

struct mm_pagemap {
        int fd;
        bool no_scan;
        uint64_t zero_frame; /* for walks without PAGEMAP_SCAN, which tells by itself */
};

struct walk {
        mm_pages_cb cb;
        void *userdata;
        size_t n;
        struct mm_page pages[MM_PAGES_CHUNK];
};

int mm_pagemap_open(int process_fd, struct mm_pagemap **ret)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pm = NULL;

        pm = calloc(1, sizeof(*pm));
        if (!pm)
                return -ENOMEM;

        pm->fd = openat(process_fd, "pagemap", O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (pm->fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;

        /* A scan of nothing tells whether there is such a call. */
        if (ioctl(pm->fd, SCAN_IOCTL, &(struct scan_arg){ .size = sizeof(struct scan_arg) }) < 0)
                mm_pagemap_forget_scan(pm);

        *ret = TAKE_PTR(pm);
        return 0;
}

struct mm_pagemap *mm_pagemap_free(struct mm_pagemap *pm)
{
        if (!pm)
                return NULL;

        safe_close(pm->fd);
        free(pm);
        return NULL;
}

void mm_pagemap_forget_scan(struct mm_pagemap *pm)
{
        pm->no_scan = true;
        pm->zero_frame = mm_zero_frame();
}

ssize_t mm_pagemap_read(struct mm_pagemap *pm, uint64_t address, uint64_t *words, size_t n)
{
        ssize_t size;

        if (n == 0)
                return 0;

        size = pread(pm->fd, words, n * sizeof(*words), (off_t)(address / MM_PAGE_SIZE * sizeof(*words)));
        if (size < 0)
                return -errno;
        if (size == 0)
                return -ESRCH;
        return size / (ssize_t)sizeof(*words);
}

struct mm_page mm_pagemap_decode(uint64_t word, uint64_t address, uint64_t zero_frame)
{
        struct mm_page page = { .address = address };

        if (word & WORD_PRESENT) {
                page.flags |= MM_PAGE_PRESENT;
                page.frame = word & WORD_FRAME;
                if (word & WORD_EXCLUSIVE)
                        page.flags |= MM_PAGE_EXCLUSIVE;
                if (zero_frame != 0 && page.frame == zero_frame)
                        page.flags |= MM_PAGE_ZERO;
        } else if ((word & WORD_SWAPPED) && (word & WORD_SWAP_TYPE) < SWAP_TYPES_MIN)
                page.flags |= MM_PAGE_SWAPPED;

        if (word & WORD_FILE)
                page.flags |= MM_PAGE_FILE;

        return page;
}

static int walk_flush(struct walk *w)
{
        size_t n = w->n;

        w->n = 0;
        return n > 0 ? w->cb(w->userdata, w->pages, n) : 0;
}

static int walk_add(struct walk *w, struct mm_page page)
{
        if (!(page.flags & (MM_PAGE_PRESENT | MM_PAGE_SWAPPED)))
                return 0;

        w->pages[w->n++] = page;
        return w->n == MM_PAGES_CHUNK ? walk_flush(w) : 0;
}

/* Between @start and @end, which the kernel just said hold pages. Words are read ahead of the
 * region, up to @limit, as the next region is likely close. */
struct window {
        uint64_t start, end;
        uint64_t words[MM_PAGES_CHUNK];
};

static int walk_region(struct mm_pagemap *pm, struct walk *w, struct window *window,
                       const struct scan_region *region, uint64_t limit)
{
        for (uint64_t address = region->start; address < region->end; address += MM_PAGE_SIZE) {
                struct mm_page page;
                uint64_t word;
                int r;

                if (address < window->start || address >= window->end) {
                        uint64_t ahead = (limit - address) / MM_PAGE_SIZE;
                        ssize_t n;

                        n = mm_pagemap_read(pm, address, window->words, MIN(ahead, MM_PAGES_CHUNK));
                        if (n < 0)
                                return (int)n;
                        window->start = address;
                        window->end = address + (uint64_t)n * MM_PAGE_SIZE;
                }

                word = window->words[(address - window->start) / MM_PAGE_SIZE];
                page = mm_pagemap_decode(word, address, 0);
                if (region->categories & SCAN_ZERO_FRAME)
                        page.flags |= MM_PAGE_ZERO;
                r = walk_add(w, page);
                if (r != 0)
                        return r;
        }

        return 0;
}

static int walk_scan(struct mm_pagemap *pm, struct walk *w, uint64_t start, uint64_t end)
{
        struct scan_region regions[SCAN_REGIONS];
        struct window window = { 0 };
        uint64_t word;
        ssize_t n;
        int r;

        while (start < end) {
                struct scan_arg arg = {
                        .size = sizeof(arg),
                        .start = start,
                        .end = end,
                        .vec = (uintptr_t)regions,
                        .vec_len = ELEMENTSOF(regions),
                        .max_pages = SCAN_PAGES_MAX,
                        .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
                        .return_mask = SCAN_PRESENT | SCAN_SWAPPED | SCAN_ZERO_FRAME,
                };
                int n_regions;

                n_regions = ioctl(pm->fd, SCAN_IOCTL, &arg);
                if (n_regions < 0)
                        return -errno;

                for (int i = 0; i < n_regions; i++) {
                        r = walk_region(pm, w, &window, &regions[i], end);
                        if (r != 0)
                                return r;
                }

                if (arg.walk_end <= start)
                        return -EIO;
                start = arg.walk_end;
        }

        r = walk_flush(w);
        if (r != 0)
                return r;

        /* The call finds nothing in memory that is gone, and does not say so. Reading does. */
        n = mm_pagemap_read(pm, end - MM_PAGE_SIZE, &word, 1);
        return n < 0 ? (int)n : 0;
}

static int walk_read(struct mm_pagemap *pm, struct walk *w, uint64_t start, uint64_t end, uint64_t budget,
                     uint64_t *ret_next)
{
        uint64_t words[BULK_WORDS], left = budget > 0 ? budget : UINT64_MAX;
        int r;

        while (start < end && left > 0) {
                uint64_t n_wanted = MIN((end - start) / MM_PAGE_SIZE, left);
                ssize_t n;

                n = mm_pagemap_read(pm, start, words, MIN(n_wanted, BULK_WORDS));
                if (n < 0)
                        return (int)n;

                for (ssize_t i = 0; i < n; i++, start += MM_PAGE_SIZE) {
                        if (words[i] == 0)
                                continue;
                        r = walk_add(w, mm_pagemap_decode(words[i], start, pm->zero_frame));
                        if (r != 0)
                                return r;
                }

                left -= (uint64_t)n;
        }

        r = walk_flush(w);
        if (r != 0)
                return r;

        if (start < end) {
                if (ret_next)
                        *ret_next = start;
                return -E2BIG;
        }
        return 0;
}

int mm_pages_walk(struct mm_pagemap *pm, uint64_t start, uint64_t end, uint64_t budget, mm_pages_cb cb,
                  void *userdata, uint64_t *ret_next)
{
        struct walk w;

        if (start % MM_PAGE_SIZE != 0 || end % MM_PAGE_SIZE != 0 || start > end)
                return -EINVAL;
        if (start == end)
                return 0;

        w.cb = cb;
        w.userdata = userdata;
        w.n = 0;

        return pm->no_scan ? walk_read(pm, &w, start, end, budget, ret_next) : walk_scan(pm, &w, start, end);
}

struct slice {
        mm_pages_cb cb;
        void *userdata;
        bool is_empty;
};

static int on_slice(void *userdata, const struct mm_page *pages, size_t n)
{
        struct slice *slice = userdata;

        slice->is_empty = false;
        return slice->cb(slice->userdata, pages, n);
}

int mm_pages_walk_slices(struct mm_pagemap *pm, uint64_t *at, uint64_t end, mm_pages_cb cb,
                         mm_pages_tick tick, void *userdata, bool *ret_sparse)
{
        struct slice slice = { .cb = cb, .userdata = userdata };
        unsigned n_empty = 0;
        int r;

        *ret_sparse = false;
        do {
                uint64_t next = *at;

                slice.is_empty = true;
                r = mm_pages_walk(pm, *at, end, SLICE_WORDS, on_slice, &slice, &next);
                if (r != -E2BIG || next == *at)
                        return r;
                *at = next;
                n_empty = slice.is_empty ? n_empty + 1 : 0;
                if (n_empty == EMPTY_SLICES_MAX) {
                        *ret_sparse = true;
                        return 0;
                }
                r = tick ? tick(userdata) : 0;
        } while (r == 0);
        return r;
}

uint64_t mm_frame_at(const void *p)
{
        _cleanup_(closep) int fd = -EBADF;
        off_t offset = (off_t)((uintptr_t)p / MM_PAGE_SIZE * sizeof(uint64_t));
        uint64_t word;

        fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 || pread(fd, &word, sizeof(word), offset) != sizeof(word))
                return 0;
        return word & WORD_PRESENT ? word & WORD_FRAME : 0;
}

uint64_t mm_zero_frame(void)
{
        uint64_t frame;
        void *p;

        p = mmap(NULL, MM_PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                return 0;

        /* Reading what was never written makes the kernel put its page of zeros there. */
        (void)*(volatile uint8_t *)p;
        frame = mm_frame_at(p);
        (void)munmap(p, MM_PAGE_SIZE);
        return frame;
}
