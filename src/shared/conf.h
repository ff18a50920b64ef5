/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared/macro.h"
#include "shared/rule.h"
#include "shared/setting.h"

/* mergememd.conf(5). Parsed into a fresh object and taken over whole or not at all. */

struct conf {
        /* [Daemon] */
        enum mechanism mechanism;       /* Mechanism= */
        uint64_t interval_usec;         /* IntervalSec=, of the rule "default" */
        unsigned cpu_quota_percent;     /* CpuQuota=, of one core */
        uint64_t max_frames;            /* MaxFrames=, 0: what mergemod has */
        uint64_t bookkeeping_max_bytes; /* BookkeepingMax=, 1M ... 64G */
        bool on_battery;                /* OnBattery= */
        bool automatic;                 /* Automatic= */
        int log_level;                  /* LogLevel= */
        unsigned log_mask;              /* LogMask=, CONF_LOG_* */
        uint64_t history_usec;          /* HistorySec= */

        /* [KSM]: what ksmd is set to while there is work. */
        uint64_t ksm_pages_to_scan;    /* PagesToScan=, 1 ... 1000000 */
        uint64_t ksm_sleep_millisecs;  /* SleepMilliSec=, 0 ... 60000 */
        bool ksm_smart_scan;           /* SmartScan= */
        bool ksm_advisor;              /* Advisor=scan-time */
        int ksm_use_zero_pages;        /* UseZeroPages=, -1: leave as the kernel has it; so below */
        int ksm_merge_across_nodes;    /* MergeAcrossNodes=, -1 */
        uint64_t ksm_max_page_sharing; /* MaxPageSharing=, 2 ... 1000000; 0: leave */

        /* In the order in which they were first named; the first is the one called "default". */
        struct rule *rules;
        size_t n_rules;

        struct settings settings;
        char **files;
        size_t n_files;
};

/* LogMask=, bits. */
enum {
        CONF_LOG_RESULTS = 1 << 0,
        CONF_LOG_SELECTION = 1 << 1,
        CONF_LOG_MAPS = 1 << 2,
        CONF_LOG_GROUPS = 1 << 3,
};

/* The defaults, with the rule "default", which merges pages of zeros only. 0 or -ENOMEM. */
int conf_init(struct conf *c);
void conf_done(struct conf *c);

/* Reads one text, @name in messages, over what *@c has. Unknown sections and keys: a warning with file
 * and line. Wrong values and lines that cannot be read: an error with file and line, and -EINVAL; -E2BIG
 * for too many rules or settings. On failure *@c is good for conf_done() only. */
int conf_parse(const char *name, const char *text, size_t size, struct conf *c);

/* What can only be said when all is read: whether each rule may do what it says. 0 or -EINVAL, logged
 * with file and line. */
int conf_check(const struct conf *c);

const struct rule *conf_find_rule(const struct conf *c, const char *name);
