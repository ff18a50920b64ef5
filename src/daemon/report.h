/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "daemon/answer-text.h"
#include "daemon/worker-protocol.h"

/* Owners that are told apart: anybody can give names to his areas, and others while passes go on. Beyond
 * this, or ANSWER_TEXT_MAX bytes of names, the rest of each kind is one called "others". */
#define REPORT_OWNERS_MAX 4096U

/* What a job has found and done: the figures of its Result. Plain data; sums over all passes. */

struct report_count {
        char *name;
        uint64_t n;
};

/* A short list of reasons with how often each applied. */
struct report_counts {
        struct report_count *items;
        size_t n;
};

struct report_owner {
        uint32_t kind; /* enum mm_owner_kind */
        char *name;
        uint64_t hash; /* of that: few are compared in full */
        uint64_t n_pages, n_duplicates, n_zero;
};

struct report_domain {
        char *text;
        uint64_t hash; /* of that */
        uint64_t n_duplicates;
        uint64_t n_anonymous; /* of them */
        uint32_t n_processes;
        uint32_t first; /* target of it */
        bool chosen;
};

struct report {
        uint32_t n_processes;
        struct report_counts excluded, skipped, refused;
        uint64_t duration_usec;
        uint64_t n_pages, n_swapped, n_ksm;
        uint64_t n_read; /* frames whose bytes were read, in all passes */
        uint64_t n_duplicates, n_zero, n_anonymous;
        uint64_t n_huge; /* besides: frames that `direct` leaves to huge pages */
        struct report_owner *owners;
        size_t n_owners;
        struct answer_text owners_text;
        struct report_domain *domains;
        size_t n_domains;
        /* Where they are by hash, counted from 1: a power of two, at least half of which are 0. */
        uint32_t *domain_slots;
        size_t n_domain_slots;

        const char *mechanism;
        uint64_t n_merged, n_saved, n_shared, metadata_bytes;
        uint64_t n_unmerged;
        uint64_t stop_usec;
};

void report_done(struct report *r);
/* What a merge has saved, bytes: net of what the kernel keeps for it. */
uint64_t report_saved_bytes(const struct report *r);
/* Forgets what a pass has found, for another try; exclusions and domains stay. */
void report_restart(struct report *r);

int report_count(struct report_counts *c, const char *name, uint64_t n);
/* Rows of one kind and name are one: a program may run from several files of that name. Every pass looks
 * at all pages, which are counted in the @first, and finds the duplicates of its part of the hashes. */
int report_add_owner(struct report *r, const struct worker_owner *row, const char *name, bool first);

/* The index of the domain @text, added if it is new. */
int report_find_domain(struct report *r, const char *text, uint32_t *ret);

/* Appends the dictionary a{sv} of Result. @type: "estimate", "merge", "unmerge"; @ksm, @direct: what
 * works here. */
int report_append(const struct report *r, const char *type, bool ksm, bool direct, sd_bus_message *m);
