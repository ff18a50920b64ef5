/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/selector.h"

/* The command line of mergemem(1). */

#define INTERVAL_MIN_USEC UINT64_C(1000000)
#define INTERVAL_MAX_USEC (UINT64_C(86400) * INTERVAL_MIN_USEC)

struct options {
        bool help, version;
        const char *name; /* that we were called by: mergemem or mergeall */
        bool all, stacks, dry_run;
        unsigned log_mask;      /* CONF_LOG_* */
        uint64_t interval_usec; /* 0: once */
        const char *config;     /* NULL: the usual places */
        /* Borrowed from the command line. */
        const char **libraries;
        size_t n_libraries;
        char **targets; /* programs and process numbers */
        size_t n_targets;
};

/* 0; -EINVAL for a wrong command line, -ENOMEM, both logged. @argv may be put in another order, and lives as
 * long as *@ret, of which options_done() frees the rest. */
int options_parse(int argc, char **argv, struct options *ret);
void options_done(struct options *o);

/* What they select. 0; -EINVAL for what can be neither, -E2BIG for too much, both logged; -ENOMEM. */
int options_selector(const struct options *o, struct selector *ret);

void options_help(FILE *f);
