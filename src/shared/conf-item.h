/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared/conf.h"

/* The keys of mergememd.conf(5), one line each in conf-item.c. */

struct conf_item {
        const char *section, *key; /* "Rule" for all rules */
        int (*parse)(const struct conf_item *item, const char *value, void *field);
        size_t offset;        /* in struct conf, for "Rule" in struct rule */
        const char *initial;  /* the default, as if written; an empty assignment returns to it */
        const char *expected; /* completes "write ..." */
        uint64_t min, max;
        const char *initial_rest; /* for the rule "default", where it differs */
        bool list;                /* patterns: @parse takes one and adds it */
};

/* All of them, in the order of the manual; ends with one without a key. */
extern const struct conf_item conf_items[];

const struct conf_item *conf_item_find(const char *section, const char *key);

/* The default of @item; of @rule, if it is a key of rules. */
const char *conf_item_initial(const struct conf_item *item, const struct rule *rule);

/* 0, -EINVAL, -ERANGE, -E2BIG for too many patterns, -ENOMEM; on failure *@base is as it was. */
int conf_item_assign(const struct conf_item *item, const char *value, void *base);
