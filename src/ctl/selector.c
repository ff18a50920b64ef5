/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/selector.h"

#include "shared/log.h"
#include "shared/macro.h"
#include "shared/parse.h"
#include "shared/path.h"
#include "shared/pattern.h"
#include "shared/rule.h"

static const char *const kind_keys[SELECTOR_KIND_MAX_] = {
        [SELECTOR_COMM] = "comm",
        [SELECTOR_EXE] = "exe",
        [SELECTOR_CGROUP] = "cgroup",
        [SELECTOR_UNIT] = "unit",
        [SELECTOR_USER] = "user",
        [SELECTOR_SHLIB] = "shlib",
};

/* Below the root of the tree, whether or not it begins with a slash. */
static int cgroup_complete(const char *path, char **ret)
{
        _cleanup_(freep) char *canonical = canonical_cgroup(path);

        if (!canonical)
                return -ENOMEM;
        return asprintf(ret, "%s%s", *canonical == '/' ? "" : "/", canonical) < 0 ? -ENOMEM : 0;
}

static int value_normalize(enum selector_kind kind, const char *value, char **ret)
{
        if (kind == SELECTOR_EXE || (kind == SELECTOR_SHLIB && strchr(value, '/')))
                return path_make_absolute(value, ret);
        if (kind == SELECTOR_CGROUP)
                return cgroup_complete(value, ret);
        /* A pattern may mean units of every kind. */
        *ret = kind == SELECTOR_UNIT && !pattern_is_glob(value) ? canonical_unit(value) : strdup(value);
        return *ret ? 0 : -ENOMEM;
}

int selector_add(struct selector *s, enum selector_kind kind, const char *value)
{
        _cleanup_(freep) char *item = NULL;
        char **items;
        int r;

        if (!*value)
                return -EINVAL;
        r = value_normalize(kind, value, &item);
        if (r < 0)
                return r;

        items = reallocarray(s->names[kind].items, s->names[kind].n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        items[s->names[kind].n++] = TAKE_PTR(item);
        s->names[kind].items = items;
        return 0;
}

int selector_add_pid(struct selector *s, const char *value)
{
        uint32_t *pids;
        pid_t pid;

        if (parse_pid(value, &pid) < 0)
                return -EINVAL;
        pids = reallocarray(s->pids, s->n_pids + 1, sizeof(*pids));
        if (!pids)
                return -ENOMEM;
        pids[s->n_pids++] = (uint32_t) pid;
        s->pids = pids;
        return 0;
}

int selector_set_trust(struct selector *s, const char *value)
{
        if (trust_from_string(value) == TRUST_INVALID_)
                return -EINVAL;
        s->trust = value;
        return 0;
}

int selector_set_mechanism(struct selector *s, const char *value)
{
        enum mechanism m = mechanism_from_string(value);

        if (m == MECHANISM_INVALID_)
                return -EINVAL;
        s->mechanism = m == MECHANISM_AUTO ? NULL : value;
        return 0;
}

int selector_set_huge_pages(struct selector *s, const char *value)
{
        if (rule_huge_pages_from_string(value) == RULE_HUGE_PAGES_INVALID_)
                return -EINVAL;
        s->huge_pages = value;
        return 0;
}

bool selector_is_empty(const struct selector *s)
{
        for (size_t kind = 0; kind < SELECTOR_KIND_MAX_; kind++)
                if (s->names[kind].n > 0)
                        return false;
        return s->n_pids == 0 && !s->all;
}

static int append_names(sd_bus_message *m, const char *key, char **items, size_t n)
{
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", key);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'v', "as");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "s");
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = sd_bus_message_append_basic(m, 's', items[i]);
                if (r == -EINVAL)
                        return log_error_errno(r, "--%s: not a name in UTF-8.", key);
                if (r < 0)
                        return r;
        }
        for (int i = 0; i < 3; i++) {
                r = sd_bus_message_close_container(m);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int append_pids(sd_bus_message *m, const uint32_t *pids, size_t n)
{
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", "pid");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'v', "au");
        if (r < 0)
                return r;
        r = sd_bus_message_append_array(m, 'u', pids, n * sizeof(*pids));
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(m);
}

int selector_append(const struct selector *s, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        for (size_t kind = 0; kind < SELECTOR_KIND_MAX_; kind++) {
                if (s->names[kind].n == 0)
                        continue;
                r = append_names(m, kind_keys[kind], s->names[kind].items, s->names[kind].n);
                if (r < 0)
                        return r;
        }
        if (s->n_pids > 0) {
                r = append_pids(m, s->pids, s->n_pids);
                if (r < 0)
                        return r;
        }
        if (s->all) {
                r = sd_bus_message_append(m, "{sv}", "all", "b", true);
                if (r < 0)
                        return r;
        }
        if (s->others) {
                r = sd_bus_message_append(m, "{sv}", "others", "b", true);
                if (r < 0)
                        return r;
        }
        if (s->force) {
                r = sd_bus_message_append(m, "{sv}", "force", "b", true);
                if (r < 0)
                        return r;
        }
        if (s->trust) {
                r = sd_bus_message_append(m, "{sv}", "trust", "s", s->trust);
                if (r < 0)
                        return r;
        }
        if (s->mechanism) {
                r = sd_bus_message_append(m, "{sv}", "mechanism", "s", s->mechanism);
                if (r < 0)
                        return r;
        }
        if (s->huge_pages) {
                r = sd_bus_message_append(m, "{sv}", "huge-pages", "s", s->huge_pages);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

void selector_done(struct selector *s)
{
        for (size_t kind = 0; kind < SELECTOR_KIND_MAX_; kind++) {
                for (size_t i = 0; i < s->names[kind].n; i++)
                        free(s->names[kind].items[i]);
                free(s->names[kind].items);
        }
        free(s->pids);
}
