/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ctl/figures.h"

/* What Explain says of a process: dbus/org.mergemem1.Manager.xml. */
struct explained_owner {
        char *kind, *name, *rule;
        struct figures figures;
};

struct explained_owners {
        struct explained_owner *items; /* those with the most to gain first */
        size_t n;
};

struct explanation {
        uint64_t pid, uid;
        char *comm, *exe, *cgroup, *unit;
        char *rule, *rule_file;
        uint64_t rule_line;
        char *merge, *trust, *mechanism, *domain, *busy_domain, *excluded;
        bool zero_only, mechanism_works, liftable, busy;
        uint64_t min_age_usec;
        struct figures figures;
        struct explained_owners owners;
};

/* *@e wants explanation_done() also if this fails. */
int explanation_read(sd_bus_message *m, struct explanation *e);
void explanation_done(struct explanation *e);
/* @now_usec: since 1970; @limit: rows of the table, 0: all. */
int explanation_print(const struct output *out, const struct explanation *e, uint64_t now_usec,
                      uint64_t limit);
