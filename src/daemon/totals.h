/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* What is saved on the whole machine, and what it took. The exact figures, watched closely, would tell users
 * what others do with their memory: Totals() gives them to who may inspect. Properties are for everybody,
 * rounded and seldom changed. */

#define TOTALS_PUBLISH_USEC (60ULL * 1000U * 1000U)

struct totals {
        uint64_t saved_bytes, saved_gross_bytes, metadata_bytes;
        uint64_t shared_frames, merged_pages, registered_processes;
        uint64_t scanned_pages, merged_pages_total, failed_pages, broken_pages;
        uint64_t cpu_nsec, ksmd_cpu_nsec;
        uint64_t last_scan_usec; /* realtime */
};

/* To whole MiB, of pages and frames too, seconds, and minutes since the last scan. */
void totals_round(struct totals *t);

/* The figure of that property; it is one. */
uint64_t totals_figure(const struct totals *t, const char *property);

/* The names of properties whose figures differ, NULL behind the last. Room for all is TOTALS_MAX. */
#define TOTALS_MAX 14U
void totals_compare(const struct totals *a, const struct totals *b, const char *ret[TOTALS_MAX]);

/* Appends all as a{sv}. */
int totals_append(const struct totals *t, sd_bus_message *m);
