/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* What there is among the options of Node.js that bears on giving it --random-seed=N. Pure. */

/* Whether an executable of this name is Node.js: node, nodejs, or one of these with a version, as in
 * node-22 and node20. */
bool node_is_name(const char *name);

struct node_options {
        bool seed;         /* --random-seed=N */
        bool modules;      /* --require: some are loaded before the program */
        bool ours;         /* that which we would have it load is among them */
        const char *limit; /* the option that lets it read named files only; a constant; NULL: none */
};

/* Adds what the words after @argv[0] say, up to the script. @file: what we would have it load. */
void node_options_of_arguments(char *const *argv, const char *file, struct node_options *o);

/* Adds what NODE_OPTIONS says: words between blanks, "quoted" ones with \ before " and \. 0 or -ENOMEM. */
int node_options_of_text(const char *text, const char *file, struct node_options *o);

/* @text as NODE_OPTIONS with --require=@file before all others, for free(). NULL: out of memory. */
char *node_options_prepend(const char *text, const char *file);
