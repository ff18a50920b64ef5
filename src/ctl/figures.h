/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ctl/dict.h"
#include "ctl/output.h"
#include "ctl/report.h"

/* What lists say of memory that was looked at: dbus/org.mergemem1.Manager.xml. */
struct figures {
        uint64_t present_pages;
        uint64_t duplicate_frames;
        uint64_t zero_frames;
        uint64_t merged_pages;
        uint64_t merged_zero_pages;
        uint64_t saved_bytes;
        uint64_t saved_gross_bytes;
        uint64_t written_pages;
        uint64_t cpu_nsec;
        uint64_t last_scan_usec;
};

/* An owner of memory, or a cgroup. Texts are the message's. */
struct figures_row {
        const char *kind, *unit; /* of one, of the other */
        const char *name;
        uint32_t processes;
        uint64_t private_bytes; /* of cgroups */
        struct figures figures;
};

struct figures_rows {
        struct figures_row *items; /* those with the most to gain first */
        size_t n;
};

/* From the replies to ListOwners and ListCgroups. *@rows wants figures_rows_done() also if this fails. */
int figures_read_owners(sd_bus_message *m, struct figures_rows *rows);
int figures_read_cgroups(sd_bus_message *m, struct figures_rows *rows);
void figures_rows_done(struct figures_rows *rows);

/* For tables: directories would take the room that figures need. */
const char *figures_base_name(const char *path);
/* Whether a shell takes it as it is. Who gives a file another name does not get it into commands that we
 * print. */
bool name_is_plain(const char *name);

/* Rows for dict_read() of an object of @type, whose figures are in @member. */
#define FIGURES_FIELD(type, member, name) { #name, "t", dict_read_u64, offsetof(type, member.name) }
#define FIGURES_FIELDS(type, member)                            \
        FIGURES_FIELD(type, member, present_pages),             \
        FIGURES_FIELD(type, member, duplicate_frames),          \
        FIGURES_FIELD(type, member, zero_frames),               \
        FIGURES_FIELD(type, member, merged_pages),              \
        FIGURES_FIELD(type, member, merged_zero_pages),         \
        FIGURES_FIELD(type, member, saved_bytes),               \
        FIGURES_FIELD(type, member, saved_gross_bytes),         \
        FIGURES_FIELD(type, member, written_pages),             \
        FIGURES_FIELD(type, member, cpu_nsec),                  \
        FIGURES_FIELD(type, member, last_scan_usec)

/* Columns of tables, and those that only JSON has; their cells. */
#define FIGURES_COLUMNS                                                 \
        { .head = "FREEABLE", .type = COLUMN_BYTES },                   \
        { .head = "ZEROS", .type = COLUMN_BYTES },                      \
        { .head = "SAVED", .type = COLUMN_BYTES },                      \
        { .key = "present_pages", .type = COLUMN_NUMBER },              \
        { .key = "duplicate_frames", .type = COLUMN_NUMBER },           \
        { .key = "zero_frames", .type = COLUMN_NUMBER },                \
        { .key = "merged_pages", .type = COLUMN_NUMBER },               \
        { .key = "merged_zero_pages", .type = COLUMN_NUMBER },          \
        { .key = "saved_bytes", .type = COLUMN_NUMBER },                \
        { .key = "saved_gross_bytes", .type = COLUMN_NUMBER },          \
        { .key = "written_pages", .type = COLUMN_NUMBER },              \
        { .key = "cpu_nsec", .type = COLUMN_NUMBER },                   \
        { .key = "last_scan_usec", .type = COLUMN_NUMBER }
#define FIGURES_CELLS(f)                                                \
        { .number = (f)->duplicate_frames * report_page_bytes() },      \
        { .number = (f)->zero_frames * report_page_bytes() },           \
        { .number = (f)->saved_bytes },                                 \
        { .number = (f)->present_pages },                               \
        { .number = (f)->duplicate_frames },                            \
        { .number = (f)->zero_frames },                                 \
        { .number = (f)->merged_pages },                                \
        { .number = (f)->merged_zero_pages },                           \
        { .number = (f)->saved_bytes },                                 \
        { .number = (f)->saved_gross_bytes },                           \
        { .number = (f)->written_pages },                               \
        { .number = (f)->cpu_nsec },                                    \
        { .number = (f)->last_scan_usec }
