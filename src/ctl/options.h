/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/output.h"
#include "ctl/selector.h"
#include "shared/macro.h"

/* Conditions on flags of pages: no more than the service takes. */
#define OPTIONS_FLAGS_MAX 16U

/* What one command line says. */
struct options {
        const struct verb *verb;
        char **args; /* of the verb; belongs to the command line */
        size_t n_args;

        const char *bus;     /* "system", "session" or an address */
        const char *host;    /* system bus over ssh */
        const char *machine; /* system bus of a container */

        struct selector what;
        enum json_mode json;
        uint64_t limit; /* rows of the tables that can be long, 0: all */
        const char *by; /* what rows of memory are about; NULL: processes */
        const char *owner; /* whose pages; NULL: everybody's */
        const char *flags[OPTIONS_FLAGS_MAX];
        size_t n_flags;
        bool legend;
        bool quiet;
        bool block;
        bool help;
        bool version;

        /* Of enable-layout and disable-layout. */
        const char *root; /* NULL: the running system */
        bool dry_run;
        bool stable_hash, ksm, fallback; /* for mergemem-run */
};

/* One row per option: getopt_long(3), --help and the check against the manual page read it. */
enum option_group {
        OPTION_GROUP_SELECTOR,
        OPTION_GROUP_JOB,
        OPTION_GROUP_LAYOUT,
        OPTION_GROUP_PAGES,
        OPTION_GROUP_GENERAL,
        OPTION_GROUP_MAX_
};

struct option_info {
        const char *name;
        int id;            /* the short option, or beyond the characters */
        const char *arg;   /* how --help calls the argument; NULL: none */
        bool arg_optional;
        enum option_group group;
        unsigned verbs;    /* VERB_*: where it means something; 0: everywhere */
        const char *help;
};
extern const struct option_info option_table[];
extern const size_t option_table_size;

/* Fills *@o from the command line. What is wrong with it has been said on standard error when this
 * returns -EINVAL. *@o wants options_done() in any case. */
int options_parse(int argc, char **argv, struct options *o);
void options_done(struct options *o);

/* What tables and JSON are written with. */
struct output options_output(const struct options *o, FILE *file);
