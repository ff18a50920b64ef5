/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "ctl/gains.h"
#include "ctl/output.h"

/* The manager's properties: dbus/org.mergemem1.Manager.xml. */
struct stats_mechanism {
        char *name;
        bool works;
        char *reason;
};

struct stats_mechanisms {
        struct stats_mechanism *items;
        size_t n;
};

struct stats {
        char *version;
        char *mechanism;
        char *mechanism_reason;
        struct stats_mechanisms mechanisms;
        uint64_t saved_bytes;
        uint64_t saved_gross_bytes;
        uint64_t metadata_bytes;
        uint64_t shared_frames;
        uint64_t merged_pages;
        uint64_t registered_processes;
        uint64_t pages_scanned_total;
        uint64_t pages_merged_total;
        uint64_t pages_failed_total;
        uint64_t pages_broken_total;
        uint64_t cpu_usage_nsec;
        uint64_t ksmd_cpu_usage_nsec;
        uint64_t last_scan_usec;
        bool exact; /* else rounded, for who may not see more */
        struct gains gains; /* of processes that may be seen */
};

/* From the reply to GetAll, or to Totals. *@s wants stats_done() also if this fails. */
int stats_read(sd_bus_message *m, struct stats *s);
void stats_done(struct stats *s);
/* @now_usec: since 1970. */
int stats_print(const struct output *out, const struct stats *s, uint64_t now_usec);
