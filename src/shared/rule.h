/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/setting.h"

/* A [Rule NAME] of mergememd.conf(5): whose memory it is about, and what is done with it. */

#define RULE_NAME_MAX 64U
/* Every process is held against every pattern. */
#define RULES_MAX 256U
#define RULE_PATTERNS_MAX 256U /* of one kind in one rule */

/* The one for all that no other rule matches; built in, and the only one that matches everything. */
#define RULE_DEFAULT_NAME "default"

enum mechanism {
        MECHANISM_AUTO,
        MECHANISM_DIRECT,
        MECHANISM_KSM,
        MECHANISM_OBSERVE,
        MECHANISM_MAX_,
        MECHANISM_INVALID_ = -1,
};
const char *mechanism_to_string(enum mechanism m);
enum mechanism mechanism_from_string(const char *s);

enum trust {
        TRUST_USER,
        TRUST_CGROUP,
        TRUST_SYSTEM,
        TRUST_MAX_,
        TRUST_INVALID_ = -1,
};
const char *trust_to_string(enum trust trust);
enum trust trust_from_string(const char *s);

/* What a rule matches by, the most specific first. What a process chooses for itself comes last. */
enum rule_kind {
        RULE_SHLIB,
        RULE_UNIT,
        RULE_CGROUP,
        RULE_EXE,
        RULE_USER,
        RULE_COMM,
        RULE_KIND_MAX_,
};

enum rule_merge {
        RULE_MERGE_NO, /* looked at, nothing is merged */
        RULE_MERGE_YES,
        RULE_MERGE_NEVER, /* not even looked at, whatever other rules say */
        RULE_MERGE_MAX_,
};
const char *rule_merge_to_string(enum rule_merge merge);

/* Owners=, bits. */
enum {
        RULE_OWNER_LIBRARY = 1 << 0, /* data and .bss of libraries and of the program */
        RULE_OWNER_HEAP = 1 << 1,
        RULE_OWNER_ANON = 1 << 2, /* all other private memory but stacks */
        RULE_OWNER_STACK = 1 << 3,
};

enum rule_huge_pages {
        RULE_HUGE_PAGES_AUTO,
        RULE_HUGE_PAGES_KEEP,
        RULE_HUGE_PAGES_SPLIT,
        RULE_HUGE_PAGES_MAX_,
        RULE_HUGE_PAGES_INVALID_ = -1,
};
enum rule_huge_pages rule_huge_pages_from_string(const char *s);

enum rule_on_erosion {
        RULE_ON_EROSION_COOLDOWN,
        RULE_ON_EROSION_UNMERGE,
        RULE_ON_EROSION_KEEP,
        RULE_ON_EROSION_MAX_,
};

/* Globs, fnmatch(3), of which one must match; none: not asked for. */
struct rule_patterns {
        char **items;
        size_t n;
};

struct rule {
        char name[RULE_NAME_MAX + 1];
        struct conf_origin origin; /* of its first header */
        struct rule_patterns match[RULE_KIND_MAX_];

        enum rule_merge merge;
        bool zero_only;
        enum mechanism mechanism; /* MECHANISM_AUTO: the service's */
        enum trust trust;
        unsigned owners;
        uint64_t min_age_usec;
        uint64_t interval_usec;     /* 0: IntervalSec= of [Daemon] */
        unsigned cpu_quota_percent; /* of one core; 0: no limit besides that of [Daemon] */
        enum rule_huge_pages huge_pages;
        enum rule_on_erosion on_erosion;
};

/* Letters, digits and "-_.:@", at most RULE_NAME_MAX, no "." at the beginning: a name of a file too. */
bool rule_name_is_valid(const char *name);

void rule_patterns_done(struct rule_patterns *patterns);
void rule_done(struct rule *r);

bool rule_has(const struct rule *r, enum rule_kind kind);

bool rule_is_default(const struct rule *r);

/* Whether it names processes in a way that they cannot choose themselves, which is what lifts the list
 * of programs never looked at: by unit, cgroup, user or program, and not by wildcards alone. */
bool rule_names_processes(const struct rule *r);

/* Which memory it is about, RULE_OWNER_*: with Shlib= that of these libraries only. */
unsigned rule_owners(const struct rule *r);
