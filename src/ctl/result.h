/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "shared/macro.h"

/* The properties of a job as plain data: dbus/org.mergemem1.Job.xml says what they mean. */

/* So many of something. */
struct tally {
        char *text;
        uint64_t n;
};

struct tallies {
        struct tally *items;
        size_t n;
};

struct result_domain {
        char *name;
        uint64_t duplicate_frames;
        uint32_t processes;
        bool chosen;
};

struct result_domains {
        struct result_domain *items;
        size_t n;
};

struct result_owner {
        char *kind;
        char *name;
        uint64_t pages;
        uint64_t duplicate_frames;
        uint64_t zero_frames;
        uint64_t private_bytes;
};

struct result_owners {
        struct result_owner *items; /* most duplicates first */
        size_t n;
};

struct result {
        uint64_t processes;
        uint64_t duration_usec;
        uint64_t pages;
        uint64_t swapped_pages;
        uint64_t ksm_pages;
        uint64_t duplicate_frames;
        uint64_t zero_frames;
        uint64_t huge_frames; /* besides */
        struct tallies excluded;   /* processes */
        struct tallies skipped;    /* processes */
        struct tallies mechanisms; /* duplicate frames */
        struct result_domains domains;
        struct result_owners owners;

        /* merge */
        char *mechanism;
        uint64_t merged_pages;
        uint64_t saved_frames;
        uint64_t shared_frames;
        uint64_t metadata_bytes;
        struct tallies refused; /* pages */
        uint64_t stop_usec;

        /* unmerge */
        uint64_t unmerged_pages;
};

struct job_error {
        char *name;
        char *message;
};

struct job_status {
        char *type;
        char *state; /* NULL: not said */
        double progress;
        struct result result;
        struct job_error error;
};

/* Reads the a{sv} at which @m stands, that of PropertiesChanged or of GetAll, over what *@status
 * has. *@status wants job_status_done() also if this fails. */
int job_status_read(sd_bus_message *m, struct job_status *status);
void job_status_done(struct job_status *status);

/* Whether the job has ended. */
bool job_status_is_final(const struct job_status *status);
