/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/worker-io.h"
#include "lib/device.h"
#include "lib/elf.h"
#include "lib/group.h"
#include "lib/hash.h"
#include "lib/inject.h"
#include "lib/ksm.h"
#include "lib/merger.h"
#include "lib/owner.h"
#include "lib/scan.h"
#include "lib/sharing.h"
#include "lib/vmflags.h"
#include "shared/rule.h"

/* The worker from the inside: one round at a time, all of it single-threaded and blocking. */

/* One kind of memory that figures are summed for: a library, a program's heap, ... */
struct round_owner {
        uint8_t kind; /* enum mm_owner_kind */
        struct mm_file_id file;
        char *name;
        uint64_t n_pages, n_duplicates, n_zero;
};

/* A range that something was found in. */
struct round_range {
        uint64_t start, end;
        uint32_t owner;  /* index into round.owners */
        bool whole;      /* belongs to a file or is a stack: registered as a whole or not at all */
        bool apart;      /* what lies between it and the range before may be looked at by others */
        bool registered; /* with KSM, when it was looked at */
        uint32_t n_pages, n_duplicates, n_zero;
};

struct round_target {
        uint32_t index, domain;
        pid_t pid;
        uint64_t start_ticks;
        int dir_fd; /* owned; negative if nothing was found in it */
        struct round_range *ranges;
        size_t n_ranges;
        uint32_t attached; /* its number with mergemod, or 0 */
        int attach_error;  /* why it has none */
};

struct round_library {
        struct mm_file_id file; /* known, or by name */
        char *name;
        bool others, never; /* another rule's, which may decide about it */
        bool told;          /* that it was met */
        uint32_t rule;
};

struct round {
        struct mm_records *records;
        struct mm_scan scan;
        bool scan_ready;
        uint64_t zero_frame; /* mm_zero_frame() */
        bool cross_owners, include_private, direct, stacks;
        bool zero_only;
        unsigned left_out; /* RULE_OWNER_* */
        enum mergemod_huge huge;
        int use_zero_pages;
        bool tell_groups;
        struct round_library *libraries;
        size_t n_libraries;
        bool all_libraries; /* none was asked for */
        struct round_target *targets; /* by ascending index, with gaps */
        size_t n_targets;
        struct round_owner *owners;
        size_t n_owners;
        struct mm_elf_cache *elf_cache;
};

struct worker_child {
        int socket_fd; /* borrowed, all three */
        int proc_fd;
        int state_fd;
        int ksm_fd; /* /sys/kernel/mm/ksm, or negative */
        struct mm_kpage kpage;
        struct mm_ksm_drive *drive;
        struct mm_device *device; /* mergemod's, once it was needed; keeps what it knows of targets */
        uint64_t *counted;        /* bits by frame: shared ones that were met in this count */
        uint64_t next_mark_usec;
        uint64_t n_pages; /* for progress marks: looked at in this call */
        uint64_t slice_end_nsec; /* of CPU time; 0: the call is not sliced */
        struct round round;
        struct {
                uint64_t id; /* of the call that began it */
                bool sorted;
                struct mm_sharing frames;
        } sharing;
};

/* What the forked process does until the socket closes. Returns an exit status. @state_fd, @ksm_fd: may be
 * negative; without the first KSM is only looked at. */
int worker_child_run(int socket_fd, int proc_fd, int state_fd, int ksm_fd);

/* To be called between slices: tells the service that we live, at most 20 times a second, and
 * returns -ECANCELED once it has asked to stop. */
int worker_child_tick(struct worker_child *w);
int worker_child_send(struct worker_child *w, const union worker_packet *p);

/* From now on the call may use @slice_usec of CPU time; 0: as much as it needs. */
void worker_child_slice(struct worker_child *w, uint64_t slice_usec);
/* Whether it has. */
bool worker_child_slice_is_over(const struct worker_child *w);

/* worker-round.c */
int round_begin(struct round *r, int proc_fd, const struct worker_begin *begin);
int round_add_library(struct round *r, const struct worker_library *library, const char *name);
void round_done(struct round *r);
/* The line of figures that @range of @t counts for. A heap is that of its program, @exe. */
int round_range_owner(struct round *r, const struct mm_range *range, const struct worker_target *t,
                      const char *exe, uint32_t *ret);
struct round_target *round_find_target(struct round *r, uint32_t index);
struct round_range *round_find_range(struct round_target *t, uint64_t address);

/* worker-figures.c: what the round has found, as rows. */
int round_send_group(struct worker_child *w, const struct mm_group *g, size_t saving);
int round_send_owners(struct worker_child *w);
int round_send_parts(struct worker_child *w);

/* worker-scan.c */
/* Takes over @dir_fd. Answers with rows; the error is that of the socket or -ECANCELED. */
int round_scan(struct worker_child *w, const struct worker_target *t, const char *exe, int dir_fd);
int round_list(struct worker_child *w, const struct worker_target *t, int dir_fd);

/* worker-group.c */
int round_group(struct worker_child *w);
int round_plan(struct worker_child *w, const struct worker_plan *plan);
int round_measure(struct worker_child *w);

/* worker-direct.c */
int worker_child_device(struct worker_child *w, struct mm_device **ret);
int round_merge(struct worker_child *w, const struct worker_merge *call, int cgroup_fd);
int worker_child_unmerge(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd);

/* worker-count.c */
int worker_child_count(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd);
int worker_child_census(struct worker_child *w, int dir_fd);
int worker_child_areas(struct worker_child *w, int dir_fd);
/* Whether a process has frames of mergemod's in a range: 1, 0, -errno. */
int worker_child_has_merged(struct worker_child *w, int dir_fd, uint64_t start, uint64_t end);

/* worker-usage.c, worker-pages.c, worker-sharing.c: looks at what pagemap tells of a process. */
int worker_child_usage(struct worker_child *w, const struct worker_usage *call, int dir_fd);
int worker_child_pages(struct worker_child *w, const struct worker_pages *call, const char *owner,
                       int dir_fd);
int worker_child_share(struct worker_child *w, const struct worker_share *call, int dir_fd);
int worker_child_share_with(struct worker_child *w, const struct worker_share *call, int dir_fd);
/* The row that each of these looks ends in. */
int worker_child_send_looked(struct worker_child *w, const struct mm_survey *s, uint64_t next, bool matched,
                             bool full);

/* worker-register.c: what of @advices mergemod can do, without holding a thread of the target; @any_size:
 * also what locks its memory for long. Those are put first; returns how many. */
size_t worker_child_advise_direct(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd,
                                  const struct mm_vmflags *flags, size_t n_flags, bool any_size,
                                  struct mm_advice *advices, size_t n);

/* worker-advise.c */
int worker_child_advise(struct worker_child *w, const struct worker_ranges *ranges, int dir_fd, bool merge);
