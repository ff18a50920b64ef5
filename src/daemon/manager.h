/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/account.h"
#include "daemon/auth.h"
#include "daemon/history.h"
#include "daemon/quota.h"
#include "daemon/frame-limit.h"
#include "daemon/layout.h"
#include "daemon/newcomer.h"
#include "daemon/refresh.h"
#include "daemon/totals.h"
#include "lib/hash.h"
#include "shared/conf-file.h"

/* Jobs that wait or run; and ended ones that can still be read. */
#define JOBS_MAX 64U
/* Lists being made. */
#define LISTINGS_MAX 16U
/* Connections that are told of all jobs. */
#define SUBSCRIBERS_MAX 64U
/* Explanations that wait for the worker. */
#define EXPLAINING_MAX 16U
/* Who asks for a layout, and is being asked for at the bus. */
#define LAYOUT_ASKING_MAX 1024U
/* Answers about the pages of a process; and about who shares them, of which one is made at a time. */
#define PAGING_MAX 16U
#define SHARING_MAX 8U

struct engine;
struct job;
struct identities;
struct selector;
struct listing;
struct explaining;
struct layout_asking;
struct subscriber;
struct paging;
struct sharing;

struct mechanism_state {
        bool works;
        char *reason; /* why, or why not */
};

struct Manager {
        const char *version;
        sd_event *event;
        sd_bus *bus;
        const char *bus_address; /* "system", "session" or an address; borrowed */
        struct auth auth;
        struct subscriber *subscribers[SUBSCRIBERS_MAX];
        size_t n_subscribers;

        const char *conf_path; /* --config=; NULL: the usual places; borrowed */
        struct conf conf;
        uint64_t conf_generation; /* counts up when another one comes into force */
        enum mechanism mechanism_option; /* --mechanism=; MECHANISM_INVALID_ if not given */
        int log_level_option;            /* --log-level=; -1 if not given */

        int proc_fd;
        int state_fd; /* the runtime directory, locked; negative: without one */
        int lock_fd;
        int ksm_fd;
        pid_t service_pid; /* beside which we work; 0: we are the service, or there is none */

        struct mechanism_state mechanisms[MECHANISM_MAX_];
        struct frame_limit frame_limit;
        enum mechanism mechanism; /* the one in use */
        char *mechanism_reason;

        struct worker *worker;
        struct identities *identities;
        bool driving; /* ksmd runs for us */
        pid_t ksmd_pid;
        struct registry registry; /* with KSM */
        struct registry merged;   /* by mergemod */
        struct account account;
        sd_event_source *refresh_source;
        struct refresh refresh;

        struct engine *engine; /* works on the rules */
        struct job **jobs; /* by age */
        size_t n_jobs;
        struct job *running;
        uint32_t last_job_id;
        struct quotas pages, calls; /* of users who are not root */
        struct listing **listings;
        size_t n_listings;
        struct explaining *explaining[EXPLAINING_MAX];
        size_t n_explaining;
        struct layouts layouts;
        bool layouts_failed; /* to be written down, and that was said */
        struct layout_asking *layout_asking[LAYOUT_ASKING_MAX];
        size_t n_layout_asking;
        struct newcomers newcomers;
        struct paging *paging[PAGING_MAX];
        size_t n_paging;
        struct sharing *sharing[SHARING_MAX]; /* by age */
        size_t n_sharing;
        uint64_t last_sharing_id;

        /* Processes that held the worker up, not looked at until then. */
        struct {
                pid_t pid;
                uint64_t start_ticks;
                uint64_t until_usec;
        } hung[1024];
        size_t next_hung;

        uint64_t n_scanned_total, n_merged_total, n_failed_total;
        uint64_t ksmd_cpu_nsec;
        uint64_t last_scan_usec; /* realtime */
        struct totals published; /* to everybody */
        uint64_t published_usec; /* 0: not yet */
        sd_event_source *publish_source;

        struct history history;
        struct totals history_last; /* that the last sample was made of */
        uint64_t history_last_usec; /* CLOCK_BOOTTIME */
        sd_event_source *history_source;
        bool history_failed; /* and that was said */
};

int manager_new(Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP_FUNC(Manager *, manager_free)

/* The configuration as it is written down now, @overlay (or NULL) put in. 0 or -errno, logged. */
int manager_load_conf(const Manager *m, const struct conf_overlay *overlay, struct conf *ret);
/* Puts *@c in force, which is what was before then; on failure all stays as it is. 0 or -errno, logged. */
int manager_apply_conf(Manager *m, struct conf *c);

/* Opens what is needed, takes the lock, finds the mechanisms, connects to the bus. Logs failures. */
int manager_start(Manager *m);
/* The parts of it that jobs need, with the configuration loaded, and nothing else: no bus, rules or history.
 * Without a runtime directory nothing is kept and KSM is only looked at. Both log failures. */
int manager_open_kernel(Manager *m);
int manager_start_worker(Manager *m);
int manager_run(Manager *m);
/* Reads the configuration again; on failure what is in force stays. */
int manager_reload(Manager *m);

/* The STATUS= line, from what goes on now. */
void manager_notify_status(Manager *m);

/* Starts the next waiting job when none runs. */
void manager_dispatch(Manager *m);

void manager_mark_hung(Manager *m, pid_t pid, uint64_t start_ticks);
bool manager_is_hung(const Manager *m, pid_t pid, uint64_t start_ticks);
/* As policy_exclude(), and who is part of the service, or has stopped its worker lately. */
enum exclusion manager_exclude(const Manager *m, const struct mm_process *p, bool named);

/* What is saved now, frames, and what the kernel keeps in memory for it, by all mechanisms. */
uint64_t manager_saved_frames(const Manager *m);
uint64_t manager_metadata_bytes(const Manager *m);

/* Asks the kernel anew what our registered memory saves, soon. */
void manager_refresh(Manager *m);

/* CPU time of the service and its worker, nanoseconds. */
uint64_t manager_cpu_nsec(const Manager *m);

/* Lets the worker put KSM's knobs back, if we changed them. */
void manager_stop_ksm(Manager *m);

/* CPU time that ksmd has used, nanoseconds; 0 if it is not known yet. */
uint64_t manager_ksmd_cpu_nsec(const Manager *m);

/* mechanism.c: fills m->mechanisms and m->mechanism. Logs which and why. -EOPNOTSUPP if one was
 * demanded that does not work here. */
int manager_choose_mechanism(Manager *m);
/* One of them does not work after all: why. 0 or -ENOMEM, logged. */
int manager_rule_out(Manager *m, enum mechanism mechanism, const char *reason);

/* manager-bus.c */
int manager_connect_bus(Manager *m);
