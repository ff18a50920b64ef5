/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The command line. */

struct options {
        const char *group; /* NULL: that of the systemd unit */
        bool ksm, stable_hash, inherit, fallback, dry_run, verbose, help, version;
        char **argv; /* of the program; belongs to the command line */
};

struct option_info {
        const char *name;
        int id;          /* the short option, or beyond the characters */
        const char *arg; /* how --help calls the argument; NULL: none */
        const char *help;
};
extern const struct option_info option_table[];
extern const size_t option_table_size;

/* 0, or -EINVAL when what is wrong has been said on standard error. */
int options_parse(int argc, char **argv, struct options *ret);

void options_help(FILE *f);
