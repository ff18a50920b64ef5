/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

struct options;

enum {
        VERB_STATS = 1 << 0,
        VERB_ESTIMATE = 1 << 1,
        VERB_MERGE = 1 << 2,
        VERB_UNMERGE = 1 << 3,
        VERB_LIST = 1 << 4,
        VERB_CANCEL = 1 << 5,
        VERB_HELP = 1 << 6,
        VERB_SCAN = 1 << 7,
        VERB_HISTORY = 1 << 8,
        VERB_CONFIG = 1 << 9,
        VERB_ENABLE = 1 << 10,
        VERB_DISABLE = 1 << 11,
        VERB_RULES_ = VERB_ENABLE | VERB_DISABLE,
        VERB_EXPLAIN = 1 << 12,
        VERB_LAYOUTS = 1 << 13,
        VERB_ENABLE_LAYOUT = 1 << 14,
        VERB_DISABLE_LAYOUT = 1 << 15,
        VERB_UNIT_FILES_ = VERB_ENABLE_LAYOUT | VERB_DISABLE_LAYOUT,
        VERB_MEMORY = 1 << 16,
        VERB_PAGES = 1 << 17,
        VERB_SHARED = 1 << 18,
        VERB_JOBS_ = VERB_ESTIMATE | VERB_MERGE | VERB_UNMERGE | VERB_SCAN,
};

struct verb {
        const char *name;
        unsigned id;
        const char *args; /* how --help shows them */
        size_t min_args;
        size_t max_args;
        const char *help;
        int (*run)(const struct options *o); /* returns an exit status */
};

/* The first one is the default. */
extern const struct verb verb_table[];
extern const size_t verb_table_size;

/* NULL: no such verb. */
const struct verb *verb_find(const char *name);

int verb_stats(const struct options *o);
int verb_estimate(const struct options *o);
int verb_scan(const struct options *o);
int verb_merge(const struct options *o);
int verb_unmerge(const struct options *o);
int verb_explain(const struct options *o);
int verb_history(const struct options *o);
int verb_list(const struct options *o);
int verb_memory(const struct options *o);
int verb_pages(const struct options *o);
int verb_shared(const struct options *o);
int verb_enable(const struct options *o);
int verb_disable(const struct options *o);
int verb_config(const struct options *o);
int verb_layouts(const struct options *o);
int verb_enable_layout(const struct options *o);
int verb_disable_layout(const struct options *o);
int verb_cancel(const struct options *o);
int verb_help(const struct options *o);
