/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/rule.h"

#include "shared/log.h"
#include "shared/rule.h"

static const char *const keys[SELECTOR_KIND_MAX_] = {
        [SELECTOR_COMM] = "Comm",     [SELECTOR_EXE] = "Exe",   [SELECTOR_CGROUP] = "Cgroup",
        [SELECTOR_UNIT] = "Unit",     [SELECTOR_USER] = "User", [SELECTOR_SHLIB] = "Shlib",
};

/* The end of a path says most. */
static const char *last_part(const char *s)
{
        const char *slash = strrchr(s, '/');

        return slash && slash[1] ? slash + 1 : s;
}

char *rule_name(const struct selector *s)
{
        _cleanup_(freep) char *name = strdup("");

        for (size_t kind = 0; name && kind < SELECTOR_KIND_MAX_; kind++)
                for (size_t i = 0; name && i < s->names[kind].n; i++) {
                        char *longer;

                        if (asprintf(&longer, "%s%s%s", name, *name ? "-" : "",
                                     last_part(s->names[kind].items[i])) < 0)
                                return NULL;
                        free(name);
                        name = longer;
                }
        if (!name)
                return NULL;
        if (strlen(name) > RULE_NAME_MAX)
                name[RULE_NAME_MAX] = '\0';
        for (char *p = name; *p; p++) {
                char one[] = { 'x', *p, '\0' };

                if (!rule_name_is_valid(one))
                        *p = '_';
        }
        if (name[0] == '.')
                name[0] = '_';
        return TAKE_PTR(name);
}

static int append_patterns(sd_bus_message *m, const char *key, char **items, size_t n)
{
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; i < n && r >= 0; i++) {
                r = sd_bus_message_append_basic(m, 's', items[i]);
                if (r == -EINVAL)
                        return log_error_errno(r, "%s=: not a name in UTF-8.", key);
        }
        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

int rule_append(const struct selector *s, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (size_t kind = 0; kind < SELECTOR_KIND_MAX_ && r >= 0; kind++)
                if (s->names[kind].n > 0)
                        r = append_patterns(m, keys[kind], s->names[kind].items, s->names[kind].n);
        if (r >= 0 && s->trust)
                r = sd_bus_message_append(m, "{sv}", "TrustDomain", "s", s->trust);
        if (r >= 0 && s->mechanism)
                r = sd_bus_message_append(m, "{sv}", "Mechanism", "s", s->mechanism);
        if (r >= 0 && s->huge_pages)
                r = sd_bus_message_append(m, "{sv}", "HugePages", "s", s->huge_pages);
        return r < 0 ? r : sd_bus_message_close_container(m);
}
