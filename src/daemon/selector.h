/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/procfs.h"
#include "shared/conf.h"

/* What a job or a list is about: values of one kind are alternatives, kinds narrow each other. */

/* Over all kinds; enough for every pid of a large service. */
#define SELECTOR_VALUES_MAX 4096U
/* PATH_MAX, the end included. */
#define SELECTOR_TEXT_MAX 4096U
/* All values together: many may wait at a time. */
#define SELECTOR_BYTES_MAX (256U * 1024U)

enum selector_kind {
        SELECTOR_PID,
        SELECTOR_COMM,
        SELECTOR_EXE,
        SELECTOR_CGROUP,
        SELECTOR_UNIT,
        SELECTOR_USER,
        SELECTOR_SHLIB,
        SELECTOR_PROGRAM, /* its name, that of its processes or of its file; not a kind on the bus */
        SELECTOR_KIND_MAX_,
        SELECTOR_KIND_INVALID_ = -1,
};

struct selector_value {
        enum selector_kind kind;
        char *text;             /* as given; NULL for pids */
        pid_t pid;              /* SELECTOR_PID */
        uid_t uid;              /* SELECTOR_USER, once resolved */
        struct mm_file_id file; /* SELECTOR_EXE, SELECTOR_SHLIB with a slash, once resolved */
        bool seen;              /* some process or library has it */
};

struct selector {
        struct selector_value *values;
        size_t n_values, n_bytes;
        bool all;
        bool any; /* what is said of processes is alternatives whatever its kind */
        bool force;
        bool others; /* who is not root means others' processes too */
        /* Else only those of one user: what may be told of others and done to them is not told or done. */
        bool only_own;
        uid_t owner;
        enum trust trust;
        enum mechanism mechanism;  /* MECHANISM_AUTO: what the service has chosen */
        enum rule_huge_pages huge_pages;
        struct mm_file_id user_ns; /* the service's own */
};

enum selector_kind selector_kind_from_string(const char *s);
const char *selector_kind_to_string(enum selector_kind kind);

void selector_done(struct selector *s);

/* Notes our own user namespace. */
void selector_note_user_ns(struct selector *s);

/* 0; -EINVAL for a value that cannot be one of @kind; -E2BIG past SELECTOR_VALUES_MAX or
 * SELECTOR_BYTES_MAX; -ENOMEM.
 * @text is for all kinds but SELECTOR_PID. Unit names without a suffix mean services, cgroup paths
 * may carry the mount point. */
int selector_add(struct selector *s, enum selector_kind kind, const char *text, pid_t pid);

size_t selector_count(const struct selector *s, enum selector_kind kind);
bool selector_has(const struct selector *s, enum selector_kind kind);

/* Neither a value nor "all". */
bool selector_is_empty(const struct selector *s);

/* Whether a rule like this names its processes in a way they cannot choose themselves: by unit,
 * cgroup, user or path of the program; of alternatives all must. Never so for a user's own: what is never
 * merged is not for him to say. */
bool selector_names_processes(const struct selector *s);

/* Whether its file or user must be asked for before matching: paths and user names. */
bool selector_value_needs_resolving(const struct selector_value *v);

/* Whether @p, in systemd unit @unit (NULL: none), is meant; libraries are not looked at. Values
 * that the process has are marked as seen, whether it is meant or not. */
bool selector_match(struct selector *s, const struct mm_process *p, const char *unit);

/* Whether @p is of user @uid in all respects: a set-uid program is its owner's too. */
bool selector_is_of(const struct mm_process *p, uid_t uid);

/* The first value of a process that none had, or NULL. */
const struct selector_value *selector_unseen(const struct selector *s, bool libraries);

/* What to say if no process has @v, one of @s's values: the name of a D-Bus error, and *@ret a sentence, to
 * be freed (NULL: no memory). */
const char *selector_missing_error(const struct selector *s, const struct selector_value *v, char **ret);

/* Whether @cgroup is @parent or below it. */
bool cgroup_contains(const char *parent, const char *cgroup);

/* How much of @cgroup is the path of @unit; 0 if it is in none of that name. */
size_t cgroup_unit_length(const char *cgroup, const char *unit);

/* The cgroup of the selection that @p is in, for TRUST_CGROUP; NULL if none. */
const char *selector_cgroup_of(const struct selector *s, const struct mm_process *p, const char *unit);

/* The path of that cgroup, for a process in @cgroup: a unit may have several. A new string or NULL: none,
 * or no memory. */
char *selector_cgroup_path(const struct selector *s, const char *cgroup);
