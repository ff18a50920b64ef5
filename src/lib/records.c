/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/records.h"

#include <sys/mman.h>

/* The region holds, in this order: the records; the folds, as runs of records; heads of the chains
 * of frames that are mapped more than once, as record number + 1, so that fresh memory is an empty
 * table. The shares keep chains at about ten frames where all are mapped more than once, and leave
 * a fold to each 2 KiB of bookkeeping. */
#define HEADS_SHARE 64U
#define FOLDS_SHARE 128U

struct fold_run {
        uint64_t fold;
        uint32_t first; /* holds for chained records from this one on */
};

struct mm_records {
        uint8_t *region;
        size_t region_size;
        uint32_t *heads;
        size_t n_heads; /* 0 or a power of two */
        struct fold_run *folds;
        size_t n_folds, folds_max;
        struct mm_record *items;
        size_t n, max;
        uint64_t fold;
};

uint64_t mm_records_bytes(uint64_t n)
{
        /* Of each HEADS_SHARE bytes the tables take one and a half. */
        return (n + 1) * sizeof(struct mm_record) / (HEADS_SHARE - 2) * HEADS_SHARE + HEADS_SHARE;
}

int mm_records_new(uint64_t max_bytes, struct mm_records **ret)
{
        _cleanup_(mm_records_freep) struct mm_records *r = NULL;
        size_t tables_size;

        if (max_bytes < sizeof(struct mm_record) || max_bytes > SIZE_MAX / 2)
                return -EINVAL;

        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;

        while (MAX(r->n_heads * 2, 1U) * sizeof(uint32_t) <= max_bytes / HEADS_SHARE)
                r->n_heads = MAX(r->n_heads * 2, 1U);
        r->folds_max = max_bytes / FOLDS_SHARE / sizeof(struct fold_run);
        tables_size = r->n_heads * sizeof(uint32_t) + r->folds_max * sizeof(struct fold_run);
        r->max = MIN((max_bytes - tables_size) / sizeof(struct mm_record), MM_NO_RECORD);

        r->region = mmap(NULL, max_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (r->region == MAP_FAILED) {
                r->region = NULL;
                return -ENOMEM;
        }
        r->region_size = max_bytes;
        /* Huge pages would take up to 2 MiB more than what is in use. */
        (void)madvise(r->region, r->region_size, MADV_NOHUGEPAGE);
        r->items = (struct mm_record *)r->region;
        r->folds = (struct fold_run *)(r->items + r->max);
        r->heads = (uint32_t *)(r->folds + r->folds_max);

        *ret = TAKE_PTR(r);
        return 0;
}

struct mm_records *mm_records_free(struct mm_records *r)
{
        if (!r)
                return NULL;

        if (r->region)
                (void)munmap(r->region, r->region_size);
        free(r);
        return NULL;
}

void mm_records_clear(struct mm_records *r)
{
        (void)madvise(r->region, r->region_size, MADV_DONTNEED);
        r->n = 0;
        r->n_folds = 0;
}

void mm_records_set_fold(struct mm_records *r, uint64_t fold)
{
        r->fold = fold;
}

static uint32_t *frame_head(const struct mm_records *r, uint32_t frame)
{
        /* Frames come in neighbourhoods. Those of one block of 1024 share one page of heads, so that
         * few frames touch little memory. Multiplication spreads the blocks, and places in them. */
        uint64_t block = (uint64_t)(frame >> 10) * UINT64_C(0x9e3779b97f4a7c15);
        uint64_t place = (frame ^ block >> 54) & 1023;

        return &r->heads[(block >> 32 << 10 | place) & (r->n_heads - 1)];
}

/* The chained record @index got the fold of the last run that began before it. */
static uint64_t fold_of(const struct mm_records *r, uint32_t index)
{
        size_t low = 0, high = r->n_folds;

        while (high - low > 1) {
                size_t middle = low + (high - low) / 2;

                if (r->folds[middle].first <= index)
                        low = middle;
                else
                        high = middle;
        }
        return r->folds[low].fold;
}

const struct mm_record *mm_records_find_frame(const struct mm_records *r, uint32_t frame, uint64_t *ret_fold)
{
        if (r->n_folds == 0)
                return NULL;

        for (uint32_t i = *frame_head(r, frame); i != 0; i = r->items[i - 1].next + 1)
                if (r->items[i - 1].frame == frame) {
                        *ret_fold = fold_of(r, i - 1);
                        return &r->items[i - 1];
                }

        return NULL;
}

/* Whether record @index may go into a chain: its fold must be known later. */
static bool note_fold(struct mm_records *r, uint32_t index)
{
        if (r->n_heads == 0)
                return false;
        if (r->n_folds > 0 && r->folds[r->n_folds - 1].fold == r->fold)
                return true;
        if (r->n_folds == r->folds_max)
                return false;

        r->folds[r->n_folds++] = (struct fold_run){ .fold = r->fold, .first = index };
        return true;
}

int mm_records_add(struct mm_records *r, const struct mm_record *record, bool shared)
{
        struct mm_record *item;
        uint64_t fold;

        if (r->n == r->max)
                return -ENOBUFS;

        item = &r->items[r->n];
        *item = *record;
        item->next = MM_NO_RECORD;

        if (shared && !mm_records_find_frame(r, record->frame, &fold) && note_fold(r, (uint32_t)r->n)) {
                uint32_t *head = frame_head(r, record->frame);

                item->next = *head - 1;
                *head = (uint32_t)r->n + 1;
        }

        r->n++;
        return 0;
}

struct mm_record *mm_records_items(struct mm_records *r)
{
        return r->items;
}

size_t mm_records_count(const struct mm_records *r)
{
        return r->n;
}

static void forget_frames(struct mm_records *r)
{
        if (r->n_folds == 0)
                return;

        memset(r->heads, 0, r->n_heads * sizeof(*r->heads));
        r->n_folds = 0;
}

/* The orders, as digits of eight bits, the most significant first: the key, the frame, then target
 * and page as one number of 56 bits. An order by place begins at that. */
enum {
        DIGIT_KEY = 0,
        DIGIT_FRAME = DIGIT_KEY + 8,
        DIGIT_PLACE = DIGIT_FRAME + 4,
        DIGIT_END = DIGIT_PLACE + 7,
};

#define RADIX 256U
/* Below this insertion sort is faster. */
#define SMALL 24U

static uint64_t record_place(const struct mm_record *a)
{
        return (uint64_t)a->target << 36 | a->page;
}

static unsigned record_digit(const struct mm_record *a, unsigned digit)
{
        if (digit < DIGIT_FRAME)
                return a->key >> (8 * (DIGIT_FRAME - 1 - digit)) & (RADIX - 1);
        if (digit < DIGIT_PLACE)
                return a->frame >> (8 * (DIGIT_PLACE - 1 - digit)) & (RADIX - 1);
        return record_place(a) >> (8 * (DIGIT_END - 1 - digit)) & (RADIX - 1);
}

/* Of records whose digits before @digit are equal. */
static bool record_less(const struct mm_record *a, const struct mm_record *b, unsigned digit)
{
        if (digit < DIGIT_FRAME && a->key != b->key)
                return a->key < b->key;
        if (digit < DIGIT_PLACE && a->frame != b->frame)
                return a->frame < b->frame;
        return record_place(a) < record_place(b);
}

static void sort_small(struct mm_record *items, size_t n, unsigned digit)
{
        for (size_t i = 1; i < n; i++) {
                struct mm_record record = items[i];
                size_t j = i;

                for (; j > 0 && record_less(&record, &items[j - 1], digit); j--)
                        items[j] = items[j - 1];
                items[j] = record;
        }
}

/* In-place radix sort from the most significant digit on ("American flag sort"): keys are hashes,
 * so two or three digits leave nothing but small heaps. Recursion ends with the digits. */
static void sort_radix(struct mm_record *items, size_t n, unsigned digit)
{
        size_t next[RADIX], end[RADIX], count[RADIX], sum;

        for (;; digit++) {
                if (digit == DIGIT_END)
                        return;
                if (n <= SMALL) {
                        sort_small(items, n, digit);
                        return;
                }

                memset(count, 0, sizeof(count));
                for (size_t i = 0; i < n; i++)
                        count[record_digit(&items[i], digit)]++;
                if (count[record_digit(&items[0], digit)] < n)
                        break;
        }

        sum = 0;
        for (unsigned b = 0; b < RADIX; b++) {
                next[b] = sum;
                sum += count[b];
                end[b] = sum;
        }

        for (unsigned b = 0; b < RADIX; b++)
                while (next[b] < end[b]) {
                        struct mm_record record = items[next[b]];
                        unsigned d;

                        while ((d = record_digit(&record, digit)) != b) {
                                struct mm_record other = items[next[d]];

                                items[next[d]++] = record;
                                record = other;
                        }
                        items[next[b]++] = record;
                }

        for (unsigned b = 0; b < RADIX; b++)
                if (count[b] > 1)
                        sort_radix(items + end[b] - count[b], count[b], digit + 1);
}

void mm_records_sort(struct mm_records *r)
{
        forget_frames(r);
        sort_radix(r->items, r->n, DIGIT_KEY);
}

void mm_records_sort_by_place(struct mm_records *r)
{
        forget_frames(r);
        sort_radix(r->items, r->n, DIGIT_PLACE);
}
