/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/procfs.h"
#include "shared/conf.h"

/* Which rule decides about a process, and about a library in it. Pure functions.
 *
 * Of the rules that match, one with Merge=never decides before all others. Else the most specific one
 * does: the kinds are compared in the order of enum rule_kind, and at the first that tells two rules
 * apart, one that has it is before one that has not, and a name written out is before a pattern; of
 * cgroups the deeper is before both. If nothing tells them apart the later rule decides.
 *
 * What cannot be found out about a process is not so, but for Merge=never: there it counts as if it were. */

/* Names that one program has in rules. */
#define RULE_EXE_NAMES_MAX 8U

/* A process as rules see it; filled in by identities_subject(). */
struct rule_subject {
        const struct mm_process *process;
        const char *unit;  /* its systemd unit; NULL: none */
        const char *user;  /* name of its real user; NULL: none, and no name matches */
        bool user_doubted; /* that could not be found out */
        bool exe_verified; /* the program's path leads us to the very file that it runs */
        /* Paths that rules have written out and that lead there as well, through links maybe. */
        const char *exe_names[RULE_EXE_NAMES_MAX];
        size_t n_exe_names;
        /* Those in rules with Merge=never of which that could not be found out; or so it is of all. */
        const char *exe_doubts[RULE_EXE_NAMES_MAX];
        size_t n_exe_doubts;
        bool all_exes_doubted;
};

/* Whether all that @r asks of a process is so; Shlib= is not looked at. A path can be anything in a mount
 * namespace of one's own: Exe= matches verified programs only, but for Merge=never, where any with that
 * path will do. */
bool rule_match_process(const struct rule *r, const struct rule_subject *s);

/* Whether @r, which matches, does so only since something could not be found out. */
bool rule_is_doubtful(const struct rule *r, const struct rule_subject *s);

/* Whether @r is about the library at @path; true without Shlib=. */
bool rule_match_library(const struct rule *r, const char *path);

/* Both match @s. Whether @a, which comes later in the configuration, decides rather than @b about memory of
 * a library that their patterns fit equally well. */
bool rule_decides_before(const struct rule *a, const struct rule *b, const struct rule_subject *s);

/* Whether @pattern, a name as in mm_library_name_match() or a pattern of names or paths, means @path. */
bool library_pattern_match(const char *pattern, const char *path);

/* The rule for all memory of the process that no rule with Shlib= is about. Never NULL: the default one
 * matches everything. */
const struct rule *rules_for_process(const struct conf *c, const struct rule_subject *s);

/* Whether turns of @rule look at the process, which @decides about. Rules about libraries go by the process
 * too, whoever decides about the rest of it. */
bool rule_looks_at(const struct rule *rule, const struct rule *decides, const struct rule_subject *s);

/* The rule for memory of the library at @path in it. */
const struct rule *rules_for_library(const struct conf *c, const struct rule_subject *s, const char *path);

/* The cgroup directory that @r matched, for TrustDomain=cgroup: the deepest if there are several. 0 and a
 * new string, -ENXIO if there is none, -ENOMEM. */
int rule_cgroup_path(const struct rule *r, const struct rule_subject *s, char **ret);

/* How often @r is worked on. */
uint64_t rule_interval_usec(const struct conf *c, const struct rule *r);
