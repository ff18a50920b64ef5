/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "lib/page-runs.h"
#include "lib/procfs.h"
#include "lib/sharing.h"
#include "lib/usage.h"
#include "shared/rule.h"

/* What the service and its worker tell each other, on a SOCK_SEQPACKET socketpair between two
 * processes of one program: plain structs, one a packet, a string behind them where it says so.
 *
 * The service calls, one call at a time; the worker answers with any number of rows and progress
 * marks and one WORKER_DONE. A WORKER_CANCEL may come at any time and makes the running call end
 * with -ECANCELED at its next slice. */

#define WORKER_PACKET_MAX 16384U
/* Registered ranges that fit in one packet. */
#define WORKER_RANGES_MAX 512U

enum worker_call {
        WORKER_CANCEL = 1,
        WORKER_RESOLVE,    /* worker_resolve + text: a path, user name or uid -> worker_resolved row */
        WORKER_BEGIN,      /* worker_begin: forget the last round, start one */
        WORKER_LIBRARY,    /* worker_library + text: look only at this library's memory (one more) */
        WORKER_SCAN,       /* worker_target + fd: look at a process -> WORKER_ROW_SCANNED, _MATCHED */
        WORKER_GROUP,      /* none: -> WORKER_ROW_OWNER, _PARTS, _PLACES, _DOMAIN, _TOTAL */
        WORKER_PLAN,       /* worker_plan: choose what to merge -> WORKER_ROW_PLANNED per process */
        WORKER_REGISTER,   /* worker_ranges + fd: madvise(MADV_MERGEABLE) -> _ADVISED */
        WORKER_UNREGISTER, /* worker_ranges + fd: madvise(MADV_UNMERGEABLE) -> _ADVISED */
        WORKER_KSM_START,  /* worker_ksm: drive ksmd */
        WORKER_KSM_STOP,   /* none */
        WORKER_MEASURE,    /* none: what happened to the plan's pages -> WORKER_ROW_MEASURED */
        WORKER_MERGE,      /* worker_merge + fd: merges what is planned -> WORKER_ROW_MERGED, _REFUSED */
        WORKER_UNMERGE,    /* worker_ranges + fd: gives back what is merged -> WORKER_ROW_ADVISED */
        WORKER_CENSUS,     /* fd: KSM's figures of a process -> WORKER_ROW_KSM */
        WORKER_COUNT,      /* worker_ranges + fd: what is merged in them now -> WORKER_ROW_KSM */
        WORKER_AREAS,      /* fd: what a process has registered -> WORKER_ROW_AREAS */
        WORKER_LIST,       /* worker_target + fd: libraries of a process -> WORKER_ROW_LIBRARY */
        WORKER_USAGE,      /* worker_usage + fd: how much memory it uses -> WORKER_ROW_USAGE, _LOOKED */
        WORKER_PAGES,      /* worker_pages + text + fd: its pages -> WORKER_ROW_RUNS, _LOOKED */
        WORKER_SHARE,      /* worker_share + fd: note which frames it shares -> WORKER_ROW_SHARED, _LOOKED */
        WORKER_SHARE_WITH, /* worker_share + fd: which of those it maps too -> WORKER_ROW_SHARED, _LOOKED */
        WORKER_CALL_MAX_
};

enum worker_reply {
        WORKER_DONE = 100, /* worker_done: ends the call */
        WORKER_PROGRESS,   /* worker_progress */
        WORKER_ROW_RESOLVED,
        WORKER_ROW_SCANNED,
        WORKER_ROW_MATCHED,
        WORKER_ROW_GROUP, /* if they are asked for */
        WORKER_ROW_OWNER,
        WORKER_ROW_PARTS,
        WORKER_ROW_PLACES,
        WORKER_ROW_DOMAIN,
        WORKER_ROW_TOTAL,
        WORKER_ROW_PLANNED,
        WORKER_ROW_ADVISED,
        WORKER_ROW_MEASURED,
        WORKER_ROW_MERGED,
        WORKER_ROW_REFUSED,
        WORKER_ROW_KSM,
        WORKER_ROW_AREAS, /* worker_ranges, several if there are many */
        WORKER_ROW_LIBRARY,
        WORKER_ROW_USAGE,
        WORKER_ROW_RUNS,
        WORKER_ROW_SHARED,
        WORKER_ROW_LOOKED,
};

struct worker_header {
        uint32_t type; /* enum worker_call or worker_reply */
        uint32_t size; /* of the whole packet */
};

struct worker_done {
        struct worker_header header;
        int32_t error; /* 0 or negative errno */
};

struct worker_progress {
        struct worker_header header;
        uint64_t n_pages; /* looked at so far in this call */
};

enum worker_resolve_kind { WORKER_RESOLVE_PATH, WORKER_RESOLVE_USER, WORKER_RESOLVE_UID };
struct worker_resolve {
        struct worker_header header;
        uint32_t kind; /* enum worker_resolve_kind */
        uint32_t padding;
};
struct worker_resolved {
        struct worker_header header;
        int32_t error;
        uint32_t uid;
        struct mm_file_id file;
        char text[]; /* WORKER_RESOLVE_UID: name of the user */
};

struct worker_begin {
        struct worker_header header;
        uint64_t bookkeeping_max_bytes;
        uint64_t seed;
        uint32_t part, n_parts;  /* this pass looks at this part of the hashes */
        uint8_t cross_owners;    /* pages may meet whoever owns them */
        uint8_t include_private; /* areas marked as private are looked at too: a rule names them */
        uint8_t direct;          /* mergemod merges what it can, and KSM the rest */
        uint8_t tell_groups;     /* a row for each group of pages that could be merged */
        int8_t use_zero_pages;   /* KSM's knob, as it will be set; negative: left as it is */
        uint8_t zero_only;       /* only pages of zeros count */
        uint8_t stacks;          /* stacks are looked at too, and meet stacks only */
        uint32_t left_out;       /* RULE_OWNER_*: whose memory is not looked at */
        uint32_t huge;           /* enum mergemod_huge: what mergemod does about huge pages */
};

struct worker_library {
        struct worker_header header;
        struct mm_file_id file; /* known: this file; else by name */
        /* Or one of another rule's, which may decide about it; by its place in the configuration. */
        uint32_t rule;
        uint8_t others, never;
};

/* Rules about libraries, by their place: those that match the process, and of them those that come first
 * where their pattern matches as well as one's own. */
struct worker_other_rules {
        uint8_t applies[RULES_MAX / 8], first[RULES_MAX / 8];
};

struct worker_target {
        struct worker_header header;
        uint32_t index;  /* below MM_TARGETS_MAX; ascending in a round */
        uint32_t domain; /* index of the trust domain */
        int32_t pid;
        uint64_t start_ticks;
        struct mm_file_id exe;
        struct worker_other_rules other_rules;
        uint64_t from;       /* go on at this address */
        uint64_t slice_usec; /* stop when so much CPU time is used; 0: go on to the end */
        char text[];         /* path of the program */
};

struct worker_scanned {
        struct worker_header header;
        uint32_t index;
        int32_t error;    /* why it could not be looked at; 0 */
        uint64_t n_pages; /* private pages in RAM looked at */
        uint64_t n_read;  /* frames whose bytes were read */
        uint64_t n_swapped, n_ksm;
        uint64_t next;      /* the slice is over, and there is more from this address on; 0: done */
        uint8_t matched;    /* has memory of the libraries asked for, or none was asked for */
        uint8_t incomplete; /* records were full: more passes are needed */
        uint8_t forbidden;  /* has memory asked for, of libraries of which another rule says never */
};

struct worker_matched {
        struct worker_header header;
        uint32_t library; /* in the order of the WORKER_LIBRARY calls; met first in this round */
};

struct worker_group_row {
        struct worker_header header;
        uint32_t index; /* of the process of the first page */
        uint32_t n_pages, n_frames;
        uint32_t n_duplicates; /* frames that merging would free */
        uint64_t address;      /* of the first page */
        uint32_t zero;         /* they hold zeros */
        uint32_t padding;
};

struct worker_owner {
        struct worker_header header;
        uint32_t kind;  /* enum mm_owner_kind */
        uint32_t index; /* that parts and places name it by */
        struct mm_file_id file;
        uint64_t n_pages, n_duplicates, n_zero;
};

/* More of them take several packets. */
#define WORKER_PARTS_MAX 512U

/* A process's memory by owner. Comes after all owners. */
struct worker_part {
        uint32_t owner;
        uint32_t n_pages, n_duplicates, n_zero;
};
struct worker_parts {
        struct worker_header header;
        uint32_t index; /* of the process */
        uint32_t n;
        struct worker_part parts[];
};

/* Where each owner's memory lies, ascending. A place has nobody else's that was looked at or left out, but
 * areas that cannot be merged. Comes after the parts. */
struct worker_place {
        uint64_t start, end;
        uint32_t owner;
        uint32_t padding;
};
struct worker_places {
        struct worker_header header;
        uint32_t index;
        uint32_t n;
        struct worker_place places[];
};

struct worker_domain {
        struct worker_header header;
        uint32_t domain;
        uint32_t padding;
        uint64_t n_duplicates;
        uint64_t n_anonymous; /* of the duplicates, as below */
};

struct worker_total {
        struct worker_header header;
        uint64_t n_duplicates, n_zero; /* frames that merging would free, and those of zeros among them */
        uint64_t n_anonymous;          /* of the duplicates, those that mergemod would merge */
        uint64_t n_huge;               /* besides, with `direct`: those that it leaves to huge pages */
};

struct worker_plan {
        struct worker_header header;
        uint32_t domain;
        uint8_t every_domain; /* KSM knows none and the caller said that is fine; mergemod knows them all */
        uint8_t direct;       /* for mergemod, page by page; else what KSM can take */
        uint8_t zero_only;    /* groups of zeros */
};

/* Merges the pages of the last plan, which was direct. */
struct worker_merge {
        struct worker_header header;
        uint32_t domain;
        uint32_t every_domain;
        uint32_t kind; /* enum mergemod_domain; the descriptor: of the cgroup, where it takes one */
        uint32_t huge; /* enum mergemod_huge */
        uint32_t zero_only;
        uint32_t padding;
        uint64_t from;       /* go on at this place of the plan */
        uint64_t slice_usec; /* as for a scan */
};

/* Sums of what was merged since the last such row. */
struct worker_merged {
        struct worker_header header;
        uint64_t n_merged;
        uint64_t n_freed; /* frames that nobody uses any more */
        uint64_t next;    /* in the last: the slice is over, and there is more from this place on; else 0 */
};

struct worker_refused {
        struct worker_header header;
        int32_t error; /* as mergemod says it */
        uint32_t padding;
        uint64_t n_pages;
};

struct worker_range {
        uint64_t start, end;
};

enum {
        WORKER_RANGES_DIRECT = 1 << 0, /* merged by mergemod */
        WORKER_RANGES_FIRST = 1 << 1,  /* of a count of all: frames shared are new ones */
};

/* A process with something to merge: where. Several packets if there are many. */
struct worker_ranges {
        struct worker_header header;
        uint32_t index;
        int32_t pid;
        uint64_t start_ticks;
        uint32_t n;
        uint32_t flags;   /* WORKER_RANGES_* */
        uint64_t n_pages; /* planned pages in these ranges */
        struct worker_range ranges[];
};

struct worker_advised {
        struct worker_header header;
        uint32_t index;
        uint32_t result; /* enum mm_inject_result */
        int32_t error;
        uint32_t n; /* ranges done, below */
        uint64_t stop_usec;
        uint64_t n_foreign_bytes; /* left alone: registered before us */
        struct worker_range ranges[];
};

struct worker_ksm {
        struct worker_header header;
        int64_t pages_to_scan, sleep_millisecs, max_page_sharing; /* all as in struct mm_ksm_settings */
        int32_t use_zero_pages, smart_scan, merge_across_nodes;
        uint32_t advisor; /* scan-time rather than none */
};

struct worker_measured {
        struct worker_header header;
        uint64_t n_planned;       /* pages of the plan that were not KSM's already and are still there */
        uint64_t n_merged;        /* of them, those that have moved to a shared frame */
        uint64_t n_frames_before; /* frames that those pages had and that nobody else maps */
        uint64_t n_frames_shared; /* frames they have now that were not shared before */
        uint64_t n_gone;          /* pages of the plan that vanished or changed meanwhile */
};

/* Of one range. */
struct worker_range_count {
        uint32_t n_merged; /* by mergemod, zero pages included; by KSM, without those */
        uint32_t n_zero;   /* zero pages, whoever has put them there */
};
struct worker_ksm_row {
        struct worker_header header;
        uint64_t rmap_items, merging_pages, zero_pages;
        uint64_t shared_frames; /* mergemod's that no process had that was counted before */
        int32_t mergeable; /* as in mm_ksm_process */
        int32_t error;
        struct worker_range_count counts[]; /* of a count: for each range that was asked for */
};

struct worker_library_row {
        struct worker_header header;
        struct mm_file_id file;
        uint64_t private_bytes;
};

/* Looks at what pagemap tells of a process all end in such a row. */
struct worker_looked {
        struct worker_header header;
        uint64_t next;     /* the slice is over, or the answer full: go on at this address; 0: done */
        uint64_t n_pages;  /* looked at */
        uint32_t n_sparse; /* areas that were given up, since they are next to empty */
        uint8_t matched;   /* there is memory of the owner asked for */
        uint8_t full;      /* no more frames can be remembered */
};

struct worker_usage {
        struct worker_header header;
        struct mm_file_id exe;
        uint64_t from, slice_usec; /* as for a scan */
        uint64_t by_library;
};

/* Sums since the last such row; a library has several. */
struct worker_usage_row {
        struct worker_header header;
        struct mm_file_id file; /* of the library, whose path follows; or of no library */
        struct mm_usage usage;
};

#define WORKER_FLAG_FILTERS_MAX 16U

struct worker_pages {
        struct worker_header header;
        struct mm_file_id exe;
        uint64_t from, to, slice_usec;
        struct mm_file_id file; /* that the owner is, if it is given by path */
        uint32_t max_runs;
        uint32_t max_bytes; /* of the runs, and for each the name of its owner */
        uint32_t n_filters;
        struct mm_flag_filter filters[WORKER_FLAG_FILTERS_MAX];
        uint64_t reduced; /* as in mm_run_filter */
        char owner[];     /* whose: a kind of owner, a library's name or path; "": everybody's */
};

#define WORKER_RUNS_MAX 256U

/* Memory of one owner, whose name follows. */
struct worker_runs {
        struct worker_header header;
        uint32_t kind; /* enum mm_owner_kind */
        uint32_t n;
        struct mm_run runs[];
};

struct worker_share {
        struct worker_header header;
        uint64_t id; /* of what is remembered; a worker that has something else says -ESTALE */
        uint64_t from, to, slice_usec;
        uint8_t begins; /* WORKER_SHARE: forgets what was remembered */
        uint8_t self;   /* WORKER_SHARE_WITH: the process itself, of which only other places count */
};

/* What one process has in its places. */
#define WORKER_SHARED_RUNS_MAX 64U

struct worker_shared {
        struct worker_header header;
        uint64_t n_pages[MM_PAGE_KIND_MAX_];
        uint64_t n_mappings; /* WORKER_SHARE: of all their frames, by whoever */
        uint64_t n_runs;     /* maybe more than there are below */
        uint64_t n;
        struct mm_shared_run runs[];
};
