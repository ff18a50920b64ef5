/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/scan.h"

#include <fcntl.h>
#include <linux/kernel-page-flags.h>

#include "lib/hash.h"
#include "lib/ksm-frame.h"

#define BATCH_PAGES (MM_SCAN_BUFFER / MM_PAGE_SIZE)

/* One call of mm_scan_range(). */
struct range_scan {
        struct mm_scan *s;
        struct mm_scan_target *t;
        uint64_t fold;
        bool file_area;
        bool full;
        uint64_t at; /* what lies before it was walked in slices that are over */
        mm_scan_tick_t tick;
        void *userdata;

        /* To be read in one go: contiguous. */
        struct mm_page batch[BATCH_PAGES];
        size_t n_batch;
};

int mm_scan_init(struct mm_scan *s, struct mm_records *records, int proc_fd, uint64_t seed)
{
        uint8_t *buffer;

        buffer = aligned_alloc(MM_PAGE_SIZE, MM_SCAN_BUFFER);
        if (!buffer)
                return -ENOMEM;

        *s = (struct mm_scan){
                .records = records,
                .seed = seed,
                .zero_hash = mm_hash_zero(seed),
                .n_parts = 1,
                .buffer = buffer,
        };
        mm_kpage_open(proc_fd, &s->kpage);
        mm_kpage_probe_ksm(&s->kpage);
        return 0;
}

void mm_scan_done(struct mm_scan *s)
{
        if (!s->buffer)
                return;

        mm_kpage_done(&s->kpage);
        free(s->buffer);
        *s = (struct mm_scan){ .kpage = { -EBADF, -EBADF } };
}

int mm_scan_target_open(int process_fd, uint32_t index, uint64_t domain, struct mm_scan_target *ret)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pagemap = NULL;
        int mem_fd, r;

        if (index >= MM_TARGETS_MAX)
                return -E2BIG;

        r = mm_pagemap_open(process_fd, &pagemap);
        if (r < 0)
                return r;

        mem_fd = openat(process_fd, "mem", O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (mem_fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;

        *ret = (struct mm_scan_target){
                .pagemap = TAKE_PTR(pagemap),
                .mem_fd = mem_fd,
                .index = index,
                .domain = domain,
        };
        return 0;
}

void mm_scan_target_done(struct mm_scan_target *t)
{
        if (!t->pagemap)
                return;

        t->pagemap = mm_pagemap_free(t->pagemap);
        t->mem_fd = safe_close(t->mem_fd);
}

static void keep_page(struct range_scan *rs, const struct mm_page *page, uint64_t content)
{
        struct mm_scan *s = rs->s;
        struct mm_record record = {
                .key = content ^ rs->fold,
                .page = page->address / MM_PAGE_SIZE,
                .target = rs->t->index,
                .frame = (uint32_t)page->frame,
        };
        bool shared = page->frame != 0 && !(page->flags & MM_PAGE_EXCLUSIVE);

        if (content == s->zero_hash)
                record.flags |= MM_RECORD_ZERO;
        if (page->flags & MM_PAGE_KSM) {
                record.flags |= MM_RECORD_KSM;
                s->n_ksm++;
        }
        if (page->flags & MM_PAGE_EXCLUSIVE)
                record.flags |= MM_RECORD_EXCLUSIVE;
        if (rs->file_area)
                record.flags |= MM_RECORD_FILE_AREA;
        if (s->huge)
                record.flags |= MM_RECORD_HUGE;

        if (content % s->n_parts != s->part)
                return;

        if (mm_records_add(s->records, &record, shared) < 0)
                rs->full = true;
}

/* Reads what is in the batch. Pages that cannot be read any more are stepped over. */
static int read_batch(struct range_scan *rs)
{
        struct mm_scan *s = rs->s;
        size_t n = rs->n_batch, i = 0;

        rs->n_batch = 0;

        while (i < n) {
                size_t n_whole;
                ssize_t size;

                size = pread(rs->t->mem_fd, s->buffer, (n - i) * MM_PAGE_SIZE, (off_t)rs->batch[i].address);
                if (size == 0)
                        return -ESRCH;
                if (size < 0 && errno != EIO && errno != EFAULT)
                        return -errno;

                n_whole = size > 0 ? (size_t)size / MM_PAGE_SIZE : 0;
                for (size_t j = 0; j < n_whole; j++, i++)
                        keep_page(rs, &rs->batch[i], mm_hash_page(s->buffer + j * MM_PAGE_SIZE, s->seed));
                s->n_read += n_whole;

                if (n_whole == 0)
                        i++;
        }

        return 0;
}

static bool batch_has_frame(const struct range_scan *rs, uint64_t frame)
{
        for (size_t i = 0; i < rs->n_batch; i++)
                if (rs->batch[i].frame == frame)
                        return true;
        return false;
}

static int batch_add(struct range_scan *rs, const struct mm_page *page)
{
        int r;

        if (rs->n_batch == BATCH_PAGES ||
            (rs->n_batch > 0 && rs->batch[rs->n_batch - 1].address + MM_PAGE_SIZE != page->address)) {
                r = read_batch(rs);
                if (r < 0)
                        return r;
        }

        rs->batch[rs->n_batch++] = *page;
        return 0;
}

static bool is_shared(const struct mm_page *page)
{
        return (page->flags & (MM_PAGE_PRESENT | MM_PAGE_FILE | MM_PAGE_ZERO | MM_PAGE_EXCLUSIVE)) ==
                        MM_PAGE_PRESENT &&
               page->frame != 0;
}

/* Marks KSM's frames among @pages, and the huge page of zeros where PAGEMAP_SCAN did not tell: only
 * for frames with several mappings that are new to the records. */
static void look_up_flags(struct range_scan *rs, struct mm_page *pages, size_t n)
{
        struct mm_page wanted[MM_PAGES_CHUNK];
        uint64_t words[MM_PAGES_CHUNK], fold;
        size_t index[MM_PAGES_CHUNK], n_wanted = 0;

        for (size_t i = 0; i < n; i++)
                if (is_shared(&pages[i]) &&
                    !mm_records_find_frame(rs->s->records, (uint32_t)pages[i].frame, &fold)) {
                        wanted[n_wanted] = pages[i];
                        index[n_wanted++] = i;
                }

        if (n_wanted == 0 || mm_kpage_flags_of(&rs->s->kpage, wanted, n_wanted, words) < 0)
                return;
        for (size_t i = 0; i < n_wanted; i++) {
                words[i] = mm_ksm_judge(words[i], rs->s->kpage.ksm_is_vague, &wanted[i], rs->s->area);
                if (words[i] & (UINT64_C(1) << KPF_KSM))
                        pages[index[i]].flags |= MM_PAGE_KSM;
                if (words[i] & (UINT64_C(1) << KPF_ZERO_PAGE))
                        pages[index[i]].flags |= MM_PAGE_ZERO;
        }
}

/* A page whose frame has other mappings. 1 if its contents are known. */
static int look_at_shared(struct range_scan *rs, struct mm_page *page)
{
        const struct mm_record *known;
        uint64_t fold;
        int r;

        if (batch_has_frame(rs, page->frame)) {
                r = read_batch(rs);
                if (r < 0)
                        return r;
        }

        known = mm_records_find_frame(rs->s->records, (uint32_t)page->frame, &fold);
        if (!known)
                return 0;

        if (known->flags & MM_RECORD_KSM)
                page->flags |= MM_PAGE_KSM;
        keep_page(rs, page, known->key ^ fold);
        return 1;
}

static int look_at(struct range_scan *rs, struct mm_page *page)
{
        int r;

        /* In an anonymous area a page that is not is one of mergemod's. */
        if ((page->flags & MM_PAGE_FILE) && rs->s->direct && !rs->file_area && page->frame != 0)
                page->flags = (page->flags & ~MM_PAGE_FILE) | MM_PAGE_KSM;
        if (page->flags & MM_PAGE_FILE)
                return 0;
        if (page->flags & MM_PAGE_SWAPPED) {
                rs->s->n_swapped++;
                return 0;
        }
        if (page->flags & MM_PAGE_ZERO)
                return 0;

        rs->s->n_looked++;
        if (rs->full)
                return 0;

        if (is_shared(page)) {
                r = look_at_shared(rs, page);
                if (r != 0)
                        return MIN(r, 0);
        }
        return batch_add(rs, page);
}

static int on_pages(void *userdata, const struct mm_page *pages, size_t n)
{
        struct range_scan *rs = userdata;
        struct mm_page own[MM_PAGES_CHUNK];
        int r;

        /* Frames beyond what a record can name are frames that are not known. */
        for (size_t i = 0; i < n; i++) {
                own[i] = pages[i];
                if (own[i].frame > UINT32_MAX)
                        own[i].frame = 0;
        }
        look_up_flags(rs, own, n);

        for (size_t i = 0; i < n; i++) {
                r = look_at(rs, &own[i]);
                if (r < 0)
                        return r;
        }

        r = read_batch(rs);
        if (r < 0)
                return r;

        rs->s->reached = pages[n - 1].address + MM_PAGE_SIZE;
        return rs->tick ? rs->tick(rs->userdata) : 0;
}

static int on_slice_end(void *userdata)
{
        struct range_scan *rs = userdata;

        rs->s->reached = rs->at;
        return rs->tick ? rs->tick(rs->userdata) : 0;
}

int mm_scan_range(struct mm_scan *s, struct mm_scan_target *t, uint64_t start, uint64_t end, uint64_t owner,
                  bool file_area, mm_scan_tick_t tick, void *userdata)
{
        struct range_scan rs;
        bool sparse;
        int r;

        rs.s = s;
        rs.t = t;
        rs.fold = mm_hash_fold(t->domain, owner);
        rs.file_area = file_area;
        rs.full = false;
        rs.at = start;
        rs.tick = tick;
        rs.userdata = userdata;
        rs.n_batch = 0;
        s->reached = start;

        mm_records_set_fold(s->records, rs.fold);

        r = mm_pages_walk_slices(t->pagemap, &rs.at, end, on_pages, on_slice_end, &rs, &sparse);
        if (sparse)
                s->n_too_sparse++;
        return r == 0 && rs.full ? -ENOBUFS : r;
}
