/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/kpage.h"
#include "lib/records.h"

/* Looks at the private pages of ranges of a process and records each: address, frame, key. Every
 * frame is read once, in batches, by pread(2) of /proc/PID/mem, which leaves sharing as it is;
 * process_vm_readv(2) would pin the pages and so un-share them. */

struct mm_scan {
        struct mm_records *records; /* not owned */
        struct mm_kpage kpage;      /* owned */
        uint64_t seed;
        uint64_t zero_hash; /* mm_hash_zero(seed) */
        /* Only contents with hash % n_parts == part are kept, whoever has them; n_parts 1 keeps all. */
        uint32_t part, n_parts;
        bool direct; /* mergemod is at work: its shared frames in anonymous areas count as private pages */
        bool huge;   /* records of the next range get MM_RECORD_HUGE */
        uint32_t area; /* MM_VM_* of the next range, as far as mm_ksm_judge() asks for them */
        uint64_t reached; /* what lies before it in the last range was looked at */
        uint8_t *buffer; /* MM_SCAN_BUFFER bytes, page-aligned; owned */

        /* Sums. Each pass over a part of the hash looks at all pages, and counts them again. */
        uint64_t n_looked;        /* private pages in RAM, each mapping */
        uint64_t n_read;          /* frames whose bytes were read */
        uint64_t n_swapped;       /* left alone */
        uint64_t n_ksm;           /* already shared, by KSM or mergemod */
        uint64_t n_too_sparse;    /* ranges given up before their end: see mm_scan_range() */
};

/* 256 KiB: where pread of /proc/PID/mem stops getting faster. */
#define MM_SCAN_BUFFER (256U * 1024U)

int mm_scan_init(struct mm_scan *s, struct mm_records *records, int proc_fd, uint64_t seed);
void mm_scan_done(struct mm_scan *s);

/* A process under the scan. mem and pagemap stay with the memory of the moment they were opened,
 * so after an exec they are empty and nothing wrong is read. */
struct mm_scan_target {
        struct mm_pagemap *pagemap;
        int mem_fd;
        uint32_t index;  /* mm_record.target */
        uint64_t domain; /* for mm_hash_fold() */
};
/* 0, -ESRCH, -EACCES, ... */
int mm_scan_target_open(int process_fd, uint32_t index, uint64_t domain, struct mm_scan_target *ret);
void mm_scan_target_done(struct mm_scan_target *t);

/* Called between batches, a few thousand pages at most apart; non-zero ends the scan and is returned: it
 * can go on at mm_scan.reached. */
typedef int (*mm_scan_tick_t)(void *userdata);

/* Looks at [@start, @end). @owner goes into the keys (0: none). 0; -ENOBUFS when the records are
 * full (what is left is counted in n_looked, and not read any more); -ESRCH when the memory is gone;
 * what @tick returned; -errno. Without PAGEMAP_SCAN a range is given up where it has no page for
 * 256 GiB, and counted in n_too_sparse. */
int mm_scan_range(struct mm_scan *s, struct mm_scan_target *t, uint64_t start, uint64_t end,
                  uint64_t owner, bool file_area, mm_scan_tick_t tick, void *userdata);
