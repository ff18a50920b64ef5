/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/macro.h"

/* What is remembered of each page looked at: 24 bytes, in one region of bounded size. Of that, tables
 * to find frames again take at most a fortieth, as they are needed. */

#define MM_TARGETS_MAX (1U << 20)
#define MM_NO_RECORD UINT32_MAX

enum {
        MM_RECORD_ZERO = 1 << 0,      /* the page holds zeros */
        MM_RECORD_EXCLUSIVE = 1 << 1, /* its frame is mapped once */
        MM_RECORD_KSM = 1 << 2,       /* its frame is KSM's already, or mergemod's */
        MM_RECORD_FILE_AREA = 1 << 3, /* in a private file mapping, or KSM's: not for `direct` */
        MM_RECORD_PLANNED = 1 << 4,   /* part of the merge plan */
        MM_RECORD_FREEABLE = 1 << 5,  /* planned, and every mapping of its frame was seen */
        MM_RECORD_HUGE = 1 << 6,      /* in an area that `direct` leaves alone for its huge pages */
};

struct mm_record {
        uint64_t key;          /* content hash ^ mm_hash_fold() */
        uint64_t page : 36;    /* address / 4096: 48 address bits */
        uint64_t target : 20;  /* index of the process in this round */
        uint64_t flags : 8;    /* MM_RECORD_* */
        uint32_t frame;        /* page frame number: up to 16 TiB of RAM; 0 if not known */
        uint32_t next;         /* record with the same frame hash, or MM_NO_RECORD; while scanning */
};
_Static_assert(sizeof(struct mm_record) == 24, "24 bytes a page is a promise");

struct mm_records;

/* Reserves address space for @max_bytes of records; memory is used as they come.
 * 0, -ENOMEM, -EINVAL if not even one fits. */
int mm_records_new(uint64_t max_bytes, struct mm_records **ret);
/* The bytes that @n records take, so many that they are more rather than fewer. */
uint64_t mm_records_bytes(uint64_t n);
struct mm_records *mm_records_free(struct mm_records *r);
DEFINE_CLEANUP_FUNC(struct mm_records *, mm_records_free)

/* Forgets all and gives the memory back. */
void mm_records_clear(struct mm_records *r);

/* What is folded into the keys of the records added from now on: mm_hash_fold(). */
void mm_records_set_fold(struct mm_records *r, uint64_t fold);

/* Appends a copy of @record. Frames that are mapped more than once are found again with
 * mm_records_find_frame(); those must be added with @shared. 0, or -ENOBUFS when the region is full:
 * the round then goes in passes over parts of the hash. */
int mm_records_add(struct mm_records *r, const struct mm_record *record, bool shared);

/* The first record added with @shared for @frame, and the fold in its key; or NULL. A frame that did
 * not fit into the table of folds is not found: it is then read once more. */
const struct mm_record *mm_records_find_frame(const struct mm_records *r, uint32_t frame,
                                              uint64_t *ret_fold);

struct mm_record *mm_records_items(struct mm_records *r);
size_t mm_records_count(const struct mm_records *r);

/* Sorts by key, then frame, then target and page: in place, no memory of its own. The chains of
 * frames are void after that. */
void mm_records_sort(struct mm_records *r);
/* Sorts by target, then page. */
void mm_records_sort_by_place(struct mm_records *r);
