/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fnmatch.h>

#include "daemon/rules.h"
#include "daemon/selector.h"
#include "lib/owner.h"
#include "shared/parse.h"
#include "shared/pattern.h"

/* How well a pattern matches; more is more specific. */
enum { RANK_NONE, RANK_PATTERN, RANK_NAME };

static unsigned rank_name(const char *pattern, const char *name, int flags)
{
        if (!pattern_is_glob(pattern))
                return streq(pattern, name) ? RANK_NAME : RANK_NONE;
        return fnmatch(pattern, name, flags) == 0 ? RANK_PATTERN : RANK_NONE;
}

static unsigned rank_library(const char *pattern, const char *path)
{
        const char *slash = strrchr(path, '/');

        if (pattern[0] == '/')
                return rank_name(pattern, path, FNM_PATHNAME);
        if (!pattern_is_glob(pattern))
                return mm_library_name_match(pattern, path) ? RANK_NAME : RANK_NONE;
        return rank_name(pattern, slash ? slash + 1 : path, 0);
}

/* The deeper the more specific; at one depth a name before a pattern. */
static unsigned rank_cgroup(const char *pattern, const char *cgroup)
{
        unsigned depth = 0;

        if (streq(pattern, "/"))
                return RANK_PATTERN;
        if (pattern_is_glob(pattern) ? fnmatch(pattern, cgroup, FNM_PATHNAME | FNM_LEADING_DIR) != 0
                                     : !cgroup_contains(pattern, cgroup))
                return RANK_NONE;
        for (const char *p = pattern; *p; p++)
                depth += *p == '/';
        return 2 * depth + (pattern_is_glob(pattern) ? RANK_PATTERN : RANK_NAME);
}

static bool is_among(const char *pattern, const char *const *names, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (streq(pattern, names[i]))
                        return true;
        return false;
}

static unsigned rank_exe(const char *pattern, const struct rule_subject *s, bool by_path)
{
        const struct mm_process *p = s->process;

        if (!pattern_is_glob(pattern)) {
                if (is_among(pattern, s->exe_names, s->n_exe_names))
                        return RANK_NAME;
                if (!by_path)
                        return RANK_NONE;
        }
        return p->exe && (s->exe_verified || by_path) ? rank_name(pattern, p->exe, FNM_PATHNAME) : RANK_NONE;
}

static unsigned rank_user(const char *pattern, const struct rule_subject *s)
{
        uint64_t uid;

        if (parse_uint64(pattern, &uid) >= 0)
                return s->process->ruid == uid ? RANK_NAME : RANK_NONE;
        return s->user ? rank_name(pattern, s->user, 0) : RANK_NONE;
}

static unsigned rank_pattern(const struct rule *r, enum rule_kind kind, const char *pattern,
                             const struct rule_subject *s, const char *library)
{
        const struct mm_process *p = s->process;

        switch (kind) {
        case RULE_SHLIB:
                return library ? rank_library(pattern, library) : RANK_NONE;
        case RULE_UNIT:
                return s->unit ? rank_name(pattern, s->unit, 0) : RANK_NONE;
        case RULE_CGROUP:
                return p->cgroup ? rank_cgroup(pattern, p->cgroup) : RANK_NONE;
        case RULE_EXE:
                return rank_exe(pattern, s, r->merge == RULE_MERGE_NEVER);
        case RULE_USER:
                return rank_user(pattern, s);
        default:
                return rank_name(pattern, p->comm, 0);
        }
}

static unsigned rank_kind(const struct rule *r, enum rule_kind kind, const struct rule_subject *s,
                          const char *library)
{
        unsigned best = RANK_NONE;

        for (size_t i = 0; i < r->match[kind].n; i++)
                best = MAX(best, rank_pattern(r, kind, r->match[kind].items[i], s, library));
        return best;
}

/* Kernel threads have no program, everybody else has one. */
static bool is_exe_doubted(const char *pattern, const struct rule_subject *s)
{
        if (s->process->kernel_thread)
                return false;
        if (pattern_is_glob(pattern))
                return !s->process->exe;
        return s->all_exes_doubted || is_among(pattern, s->exe_doubts, s->n_exe_doubts);
}

/* Whether nobody can say if @pattern matches. */
static bool is_doubted(enum rule_kind kind, const char *pattern, const struct rule_subject *s)
{
        uint64_t uid;

        switch (kind) {
        case RULE_UNIT:
        case RULE_CGROUP:
                return !s->process->cgroup && !s->process->kernel_thread;
        case RULE_EXE:
                return is_exe_doubted(pattern, s);
        case RULE_USER:
                return s->user_doubted && parse_uint64(pattern, &uid) < 0;
        default:
                return false;
        }
}

static bool match_kind(const struct rule *r, enum rule_kind kind, const struct rule_subject *s, bool doubts)
{
        if (!rule_has(r, kind) || rank_kind(r, kind, s, NULL) != RANK_NONE)
                return true;
        for (size_t i = 0; i < r->match[kind].n && doubts; i++)
                if (is_doubted(kind, r->match[kind].items[i], s))
                        return true;
        return false;
}

static bool match_process(const struct rule *r, const struct rule_subject *s, bool doubts)
{
        for (enum rule_kind k = 0; k < RULE_KIND_MAX_; k++)
                if (k != RULE_SHLIB && !match_kind(r, k, s, doubts))
                        return false;
        return true;
}

bool rule_match_process(const struct rule *r, const struct rule_subject *s)
{
        return match_process(r, s, r->merge == RULE_MERGE_NEVER);
}

bool rule_is_doubtful(const struct rule *r, const struct rule_subject *s)
{
        return !match_process(r, s, false);
}

bool library_pattern_match(const char *pattern, const char *path)
{
        return rank_library(pattern, path) != RANK_NONE;
}

bool rule_match_library(const struct rule *r, const char *path)
{
        for (size_t i = 0; i < r->match[RULE_SHLIB].n; i++)
                if (library_pattern_match(r->match[RULE_SHLIB].items[i], path))
                        return true;
        return !rule_has(r, RULE_SHLIB);
}

/* Both match. Whether @a, which comes later, decides rather than @b. */
static bool is_before(const struct rule *a, const struct rule *b, const struct rule_subject *s,
                      const char *library)
{
        if ((a->merge == RULE_MERGE_NEVER) != (b->merge == RULE_MERGE_NEVER))
                return a->merge == RULE_MERGE_NEVER;
        for (enum rule_kind k = 0; k < RULE_KIND_MAX_; k++) {
                unsigned x = rank_kind(a, k, s, library), y = rank_kind(b, k, s, library);

                if (x != y)
                        return x > y;
        }
        return true;
}

bool rule_decides_before(const struct rule *a, const struct rule *b, const struct rule_subject *s)
{
        return is_before(a, b, s, NULL);
}

static const struct rule *decide(const struct conf *c, const struct rule_subject *s, const char *library)
{
        const struct rule *best = NULL;

        for (size_t i = 0; i < c->n_rules; i++) {
                const struct rule *r = &c->rules[i];

                if (library ? !rule_match_library(r, library) : rule_has(r, RULE_SHLIB))
                        continue;
                if (rule_match_process(r, s) && (!best || is_before(r, best, s, library)))
                        best = r;
        }
        return best;
}

const struct rule *rules_for_process(const struct conf *c, const struct rule_subject *s)
{
        return decide(c, s, NULL);
}

bool rule_looks_at(const struct rule *rule, const struct rule *decides, const struct rule_subject *s)
{
        return rule_has(rule, RULE_SHLIB) ? decides->merge != RULE_MERGE_NEVER && rule_match_process(rule, s)
                                          : rule == decides;
}

const struct rule *rules_for_library(const struct conf *c, const struct rule_subject *s, const char *path)
{
        return decide(c, s, path);
}

/* How much of @cgroup the pattern matches, up to the end of a directory: the shortest. */
static size_t matched_length(const char *pattern, const char *cgroup)
{
        char path[PATH_MAX];
        size_t n = strlen(cgroup);

        if (n >= sizeof(path))
                return 0;
        for (size_t i = 1; i <= n; i++) {
                if (cgroup[i] != '/' && cgroup[i])
                        continue;
                memcpy(path, cgroup, i);
                path[i] = '\0';
                if (rank_name(pattern, path, FNM_PATHNAME) != RANK_NONE)
                        return i;
        }
        return 0;
}

int rule_cgroup_path(const struct rule *r, const struct rule_subject *s, char **ret)
{
        const char *cgroup = s->process->cgroup;
        size_t length = 0;
        char *path;

        if (!cgroup)
                return -ENXIO;
        for (size_t i = 0; i < r->match[RULE_CGROUP].n; i++)
                length = MAX(length, matched_length(r->match[RULE_CGROUP].items[i], cgroup));
        for (size_t i = 0; i < r->match[RULE_UNIT].n && s->unit; i++)
                if (rank_name(r->match[RULE_UNIT].items[i], s->unit, 0) != RANK_NONE)
                        length = MAX(length, cgroup_unit_length(cgroup, s->unit));
        if (length == 0)
                return -ENXIO;
        path = strndup(cgroup, length);
        if (!path)
                return -ENOMEM;
        *ret = path;
        return 0;
}

uint64_t rule_interval_usec(const struct conf *c, const struct rule *r)
{
        return r->interval_usec ?: c->interval_usec;
}
