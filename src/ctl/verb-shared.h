/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "ctl/output.h"

/* What Sharing says: dbus/org.mergemem1.Manager.xml. Texts are the message's. */

struct shared_run {
        uint64_t address, other_address, pages, frame;
        const char *kind;
};

/* The process itself comes first, then one by one those that have frames of its own. */
struct sharer {
        uint32_t pid, uid;
        const char *comm;
        uint64_t file_pages, anon_pages, ksm_pages, direct_pages, hugetlb_pages;
        uint64_t mappings, run_count;
        struct shared_run *runs;
        size_t n_runs;
};

struct sharing {
        struct sharer *items;
        size_t n;
        uint64_t next; /* frames from this address on were not looked at; 0: all were */
};

/* *@s wants sharing_done() also if this fails. */
int sharing_read(sd_bus_message *m, struct sharing *s);
void sharing_done(struct sharing *s);
/* @page: it is about the one page there; else NULL. @limit: rows of the table, 0: all. */
int sharing_print(const struct output *out, const struct sharing *s, const uint64_t *page, uint64_t limit);
