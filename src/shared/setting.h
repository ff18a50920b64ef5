/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* The assignments of a configuration that are in force, and where they were written. */

#define SETTINGS_MAX 4096U

/* The name is borrowed from the configuration. NULL: built in. */
struct conf_origin {
        const char *file;
        unsigned line;
};

struct conf_setting {
        char *section, *key, *value; /* "Daemon", "KSM" or "Rule NAME"; of patterns one each */
        struct conf_origin origin;
};

struct settings {
        struct conf_setting *items;
        size_t n;
};

void settings_done(struct settings *s);

/* 0, -E2BIG past SETTINGS_MAX, -ENOMEM. */
int settings_add(struct settings *s, const char *section, const char *key, const char *value,
                 const struct conf_origin *origin);

/* Drops what was assigned to it so far. */
void settings_remove(struct settings *s, const char *section, const char *key);

/* The first assignment after @previous, NULL for the first of all; NULL if there is none. */
const struct conf_setting *settings_next(const struct settings *s, const char *section, const char *key,
                                         const struct conf_setting *previous);
