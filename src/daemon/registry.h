/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "daemon/worker-protocol.h"

/* The memory that we registered with KSM, or merged through mergemod, and what it saves: one registry
 * each. Kept in the runtime directory too, written before a target is touched, so that a service that
 * was killed knows its own again and never takes somebody else's registrations for its own. */

enum registry_kind { REGISTRY_KSM, REGISTRY_DIRECT };

struct registry;

struct registered {
        struct registry *registry;
        pid_t pid;
        uint64_t start_ticks;
        uint64_t since_ticks; /* nothing was registered before, in the same clock */
        int dir_fd;
        int pid_fd;
        sd_event_source *exit_source;
        char *domain;
        struct worker_range *ranges; /* ascending, disjoint */
        size_t n_ranges;
        uint64_t merging_pages; /* merged in these ranges, zero pages included, at the last look */
        uint64_t rmap_items;
        bool counted; /* since ranges were added */
        bool hung;    /* it held the worker up at that: it is not counted any more */
};

/* What was registered for a trust domain in processes that have ended or had it undone. Children that
 * they left behind have it still, and nothing else says where they got it. */
struct former {
        char *domain;
        uint64_t since_ticks, until_ticks; /* who was born before or after has nothing of it */
        struct worker_range *ranges;
        size_t n_ranges;
};

#define FORMER_DOMAINS_MAX 16U
#define FORMER_RANGES_MAX 4096U

struct registry {
        enum registry_kind kind;
        sd_event *event;
        int state_fd; /* negative: without a runtime directory */
        struct registered **items; /* by pid */
        size_t n_items;
        struct former former[FORMER_DOMAINS_MAX]; /* the latest first */
        size_t n_former;
        /* Frames saved, as measured after the last merge, and the pages that were merged then. */
        uint64_t n_saved, n_baseline;
        uint64_t n_shared; /* frames shared */
        uint64_t n_shared_baseline; /* the same then */
        uint64_t n_broken; /* merged pages that a write gave a frame of their own again, in all */
};

void registry_init(struct registry *r, enum registry_kind kind, sd_event *event, int state_fd);
void registry_done(struct registry *r);

/* Reads what an earlier service left and keeps what still lives. 0, or -EBADMSG for a damaged file,
 * which is then set aside with the suffix .damaged. */
int registry_load(struct registry *r, int proc_fd);
/* Writes all to the runtime directory, atomically; nothing where there is none. */
int registry_save(const struct registry *r);

struct registered *registry_find(const struct registry *r, pid_t pid, uint64_t start_ticks);
/* The one of number @pid that was there at @ticks, as far as we know: the parent of who began then. NULL if
 * none was. */
struct registered *registry_find_before(const struct registry *r, pid_t pid, uint64_t ticks);

/* Adds ranges of a process; dir_fd and pid_fd are duplicated when it is new. 0, -ENOMEM, ... */
int registry_add(struct registry *r, pid_t pid, uint64_t start_ticks, int dir_fd, int pid_fd,
                 const char *domain, const struct worker_range *ranges, size_t n);
/* Takes ranges off again; a process without any is dropped. */
int registry_remove(struct registry *r, struct registered *g, const struct worker_range *ranges, size_t n);
void registry_drop(struct registry *r, struct registered *g);

/* registry-former.c: notes that ranges of a process of @domain were ours in that time, as far as memory
 * allows. */
void registry_remember(struct registry *r, const char *domain, uint64_t since_ticks, uint64_t until_ticks,
                       const struct worker_range *ranges, size_t n);
/* The time as processes' starts are counted: proc(5), field 22 of stat. */
uint64_t registry_now_ticks(void);
void former_done(struct former *f);
/* Whether a process of @domain, begun at @start_ticks, has the registration of @ranges from one of ours,
 * ended or not, by fork. */
bool registry_explains(const struct registry *r, const char *domain, uint64_t start_ticks,
                       const struct worker_range *ranges, size_t n);

/* A trust domain other than @domain that has registered memory, or NULL. */
const char *registry_other_domain(const struct registry *r, const char *domain);

/* Before a merge, and right after a count: what was written to until now saves nothing any more. */
void registry_settle(struct registry *r);
/* After it, and right after a count: it saved @saved frames more, on @shared new ones. */
void registry_account(struct registry *r, uint64_t saved, uint64_t shared);
/* All of it was counted anew: so many frames are shared. Only mergemod's can be told. */
void registry_counted(struct registry *r, uint64_t shared);
/* Drops whoever was counted and has nothing merged. */
void registry_forget_idle(struct registry *r);
/* What of @g is merged was counted anew. */
void registry_refreshed(struct registry *r, struct registered *g, uint64_t merging_pages,
                        uint64_t rmap_items);

/* What is saved now, frames: measured, minus the pages that were written or ended since. Where shared
 * frames can be counted, those that nobody uses any more make up for it. */
uint64_t registry_saved_frames(const struct registry *r);
uint64_t registry_merged_pages(const struct registry *r);
/* What the kernel keeps: for each page that KSM looks at, a struct ksm_rmap_item of 64 bytes (mm/ksm.c);
 * for each frame of mergemod's, MM_DEVICE_FRAME_BYTES. */
uint64_t registry_metadata_bytes(const struct registry *r);

/* Set operations on ascending disjoint ranges: @ret gets a new array. */
int ranges_add(const struct worker_range *a, size_t n_a, const struct worker_range *b, size_t n_b,
               struct worker_range **ret, size_t *ret_n);
int ranges_subtract(const struct worker_range *a, size_t n_a, const struct worker_range *b, size_t n_b,
                    struct worker_range **ret, size_t *ret_n);
