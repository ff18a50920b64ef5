/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/macro.h"
#include "shared/pattern.h"
#include "shared/rule.h"

static const char *const mechanism_names[] = {
        [MECHANISM_AUTO] = "auto",
        [MECHANISM_DIRECT] = "direct",
        [MECHANISM_KSM] = "ksm",
        [MECHANISM_OBSERVE] = "observe",
};

static const char *const trust_names[] = {
        [TRUST_USER] = "user",
        [TRUST_CGROUP] = "cgroup",
        [TRUST_SYSTEM] = "system",
};

static const char *const merge_names[] = {
        [RULE_MERGE_NO] = "no",
        [RULE_MERGE_YES] = "yes",
        [RULE_MERGE_NEVER] = "never",
};

const char *mechanism_to_string(enum mechanism m)
{
        if (m < 0 || m >= MECHANISM_MAX_)
                return NULL;
        return mechanism_names[m];
}

enum mechanism mechanism_from_string(const char *s)
{
        for (size_t i = 0; i < ELEMENTSOF(mechanism_names); i++)
                if (streq(s, mechanism_names[i]))
                        return (enum mechanism) i;
        return MECHANISM_INVALID_;
}

const char *trust_to_string(enum trust trust)
{
        if (trust < 0 || trust >= TRUST_MAX_)
                return NULL;
        return trust_names[trust];
}

enum trust trust_from_string(const char *s)
{
        for (size_t i = 0; i < ELEMENTSOF(trust_names); i++)
                if (streq(trust_names[i], s))
                        return (enum trust) i;
        return TRUST_INVALID_;
}

enum rule_huge_pages rule_huge_pages_from_string(const char *s)
{
        static const char *const names[] = {
                [RULE_HUGE_PAGES_AUTO] = "auto",
                [RULE_HUGE_PAGES_KEEP] = "keep",
                [RULE_HUGE_PAGES_SPLIT] = "split",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(names[i], s))
                        return (enum rule_huge_pages) i;
        return RULE_HUGE_PAGES_INVALID_;
}

const char *rule_merge_to_string(enum rule_merge merge)
{
        return merge_names[merge];
}

bool rule_name_is_valid(const char *name)
{
        static const char characters[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@";
        size_t n = strspn(name, characters);

        return n > 0 && n <= RULE_NAME_MAX && name[n] == '\0' && name[0] != '.';
}

void rule_patterns_done(struct rule_patterns *patterns)
{
        for (size_t i = 0; i < patterns->n; i++)
                free(patterns->items[i]);
        free(patterns->items);
        *patterns = (struct rule_patterns) {};
}

void rule_done(struct rule *r)
{
        for (size_t k = 0; k < RULE_KIND_MAX_; k++)
                rule_patterns_done(&r->match[k]);
        *r = (struct rule) {};
}

bool rule_has(const struct rule *r, enum rule_kind kind)
{
        return r->match[kind].n > 0;
}

bool rule_is_default(const struct rule *r)
{
        return streq(r->name, RULE_DEFAULT_NAME);
}

static bool names_somebody(const struct rule_patterns *patterns)
{
        for (size_t i = 0; i < patterns->n; i++)
                if (pattern_is_anything(patterns->items[i]))
                        return false;
        return patterns->n > 0;
}

bool rule_names_processes(const struct rule *r)
{
        return names_somebody(&r->match[RULE_UNIT]) || names_somebody(&r->match[RULE_CGROUP]) ||
               names_somebody(&r->match[RULE_EXE]) || names_somebody(&r->match[RULE_USER]);
}

unsigned rule_owners(const struct rule *r)
{
        return rule_has(r, RULE_SHLIB) ? RULE_OWNER_LIBRARY : r->owners;
}
