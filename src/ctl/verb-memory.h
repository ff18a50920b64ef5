/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "ctl/output.h"

/* What Memory says: dbus/org.mergemem1.Manager.xml. Texts are the message's. */
struct memory_figures {
        uint64_t rss_bytes, pss_bytes, uss_bytes, swap_bytes;
        uint64_t direct_bytes, ksm_bytes, zero_bytes, hugetlb_bytes;
        uint64_t duplicate_frames, zero_frames;
        uint64_t unread_processes;
};

struct memory_row {
        const char *name;
        uint32_t processes;
        uint64_t pid, uid, device, inode;
        char *exe, *cgroup, *unit;
        bool incomplete;
        struct memory_figures figures;
};

struct memory_rows {
        struct memory_row *items; /* those with the most first */
        size_t n;
};

/* Whether the service can tell memory by @what. */
bool memory_by_is_known(const char *what);

/* *@rows wants memory_rows_done() also if this fails. */
int memory_read(sd_bus_message *m, struct memory_rows *rows);
void memory_rows_done(struct memory_rows *rows);
/* @limit: rows of the table, 0: all. */
int memory_print(const struct output *out, const char *by, const struct memory_rows *rows, uint64_t limit);
