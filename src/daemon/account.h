/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/registry.h"

/* The books: what was found, merged and spent. Plain data without I/O. A process is a row of parts, one for
 * each owner of its memory; all else is sums over parts, so that each way of adding up comes to the same
 * total. */

/* The books stay below some 32 MiB: what does not fit any more is in the total only. */
#define ACCOUNT_PROCESSES_MAX 32768U
#define ACCOUNT_LINES_MAX 8192U
#define ACCOUNT_TEXT_MAX (8U * 1024U * 1024U) /* names of lines, bytes */
#define ACCOUNT_PARTS_MAX 131072U
#define ACCOUNT_PLACES_MAX 131072U

/* Shares a total out by weight, so that the shares of all weights add up to it. */
struct account_share {
        uint64_t total, n_all;
        uint64_t n_done, given;
};
uint64_t account_share_next(struct account_share *s, uint64_t weight);

struct account_figures {
        uint64_t n_present;                      /* pages, private and in RAM, at the last look */
        uint64_t n_duplicates, n_zero;           /* frames that merging would free, and those of zeros */
        uint64_t n_merged, n_merged_zero;        /* pages, now */
        uint64_t saved_bytes, saved_gross_bytes; /* now */
        uint64_t n_written;                      /* merged pages that were written to, in all */
        uint64_t cpu_nsec;                       /* in all */
        uint64_t last_scan_usec;                 /* realtime; the latest */
};

/* An owner or a rule. */
struct account_line {
        uint32_t kind;          /* of an owner, enum mm_owner_kind */
        struct mm_file_id file; /* of an owner, if known; else the name tells it from others */
        char *name;
        size_t n_users;              /* of an owner: parts that name it, and whoever holds it */
        struct account_figures past; /* of a rule: what is summed up, of parts that are not its any more */
        struct account_figures sum;  /* of an owner: over the processes added since it was cleared; of a
                                      * rule: at the last update */
        uint32_t n_processes;        /* of them, those that have it */
};

struct account_lines {
        struct account_line **items;
        size_t n;
        size_t n_text; /* bytes of names */
};

/* What a process has of one owner. */
struct account_part {
        struct account_line *owner;
        struct account_line *rule; /* that it was looked at for last; NULL: none */
        /* What is summed up that is not that rule's: from before, or spent on command. */
        uint64_t n_written_before, cpu_nsec_before;
        uint32_t look;
        uint32_t n_merged[2], n_merged_zero[2]; /* by enum registry_kind, at the last count */
        uint32_t n_counted, n_counted_zero;     /* in the count under way */
        struct account_figures figures;
};

struct account_place {
        uint64_t start, end;
        uint32_t part;
};

struct account_process {
        pid_t pid;
        uint64_t start_ticks;
        uint64_t seen;
        uint32_t look;
        struct account_line *rule; /* that decides about it as a whole; NULL: none */
        struct account_part *parts;
        size_t n_parts;
        struct account_place *places; /* ascending */
        size_t n_places;
        struct account_figures elsewhere; /* summed up in memory of unknown owners, or of none any more */
        struct account_figures unplaced;  /* what is merged there */
        struct account_figures figures;   /* sums over all that */
};

struct account {
        struct account_process **processes; /* by pid, then age */
        size_t n_processes;
        struct account_lines owners, rules;
        size_t n_parts, n_places;
        uint64_t clock; /* of passes over all processes */
        uint32_t look;  /* number of the last one */
        struct account_line *look_rule; /* that this one is for; NULL: on command */
        struct account_figures total; /* at the last update */
};

void account_done(struct account *a);

struct account_process *account_find(const struct account *a, pid_t pid, uint64_t start_ticks);

/* An owner's or rule's line, made if it is new and there is room; NULL if not. */
struct account_line *account_line(struct account_lines *lines, uint32_t kind, const struct mm_file_id *file,
                                  const char *name);

/* Who has ended is forgotten: a pass over all processes begins, meets those that live, and ends. */
uint64_t account_pass_begin(struct account *a);
void account_seen(struct account *a, pid_t pid, uint64_t start_ticks);
void account_pass_end(struct account *a, uint64_t pass);

/* account-look.c: what a look at a process has found. */

/* A look at several processes begins. */
void account_look_begin(struct account *a);
struct account_look {
        pid_t pid;
        uint64_t start_ticks;
        const char *rule; /* that it is looked at for; NULL: none. The same for all of a look. */
        bool whole;       /* all its memory is looked at, but what other rules decide about: not only some
                           * owners' */
        uint64_t now_usec;
};
/* The process in this look; NULL if there is no room. */
struct account_process *account_look_at(struct account *a, const struct account_look *look);
/* @first: this pass counts pages; every pass finds duplicates. */
void account_add_part(struct account *a, struct account_process *p, struct account_line *owner,
                      const struct worker_part *part, bool first);
void account_add_place(struct account *a, struct account_process *p, const struct account_line *owner,
                       uint64_t start, uint64_t end);
/* The look, and what followed, took so much time, which is shared out by pages. */
void account_spend(struct account *a, uint64_t cpu_nsec);

/* account-count.c: what is merged, counted anew. All of a process's ranges, then the end, with the zero
 * pages that the kernel says KSM has made (of mergemod's each range tells), and merged pages that were
 * written to. */
void account_count(struct account *a, pid_t pid, uint64_t start_ticks, const struct worker_range *ranges,
                   const struct worker_range_count *counts, size_t n);
void account_counted(struct account *a, enum registry_kind kind, pid_t pid, uint64_t start_ticks,
                     uint64_t zero_pages, uint64_t n_written);

/* account-sum.c: brings all figures up to date with what @ksm and @direct say is merged and saved. What
 * pages of one registry save is the same for each. */
void account_update(struct account *a, const struct registry *ksm, const struct registry *direct,
                    uint64_t cpu_nsec);
/* All memory that was looked at for a rule last, and what it has spent for what is not there any more: at
 * the last update. Two rules about one process have each their owners' share of it. */
void account_rule_figures(const struct account *a, const char *rule, struct account_figures *ret);
/* It is not in force any more: what it was looked at for is no rule's. */
void account_forget_rule(struct account *a, const char *rule);
void account_figures_add(struct account_figures *sum, const struct account_figures *f);
/* From now on @part counts for @rule. */
void account_part_set_rule(struct account_part *part, struct account_line *rule);
/* Sums of owners over some processes. */
void account_owners_clear(struct account *a);
void account_owners_add(struct account_process *p);
/* What is left of @sum without @f. */
void account_figures_subtract(struct account_figures *sum, const struct account_figures *f);
