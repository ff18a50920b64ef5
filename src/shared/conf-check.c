/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/conf.h"
#include "shared/log.h"

/* Where @key of @rule was written, else where the rule begins. */
static struct conf_origin origin_of(const struct conf *c, const struct rule *rule, const char *key)
{
        char section[sizeof("Rule ") + RULE_NAME_MAX];
        const struct conf_setting *s;

        snprintf(section, sizeof(section), "Rule %s", rule->name);
        s = key ? settings_next(&c->settings, section, key, NULL) : NULL;
        return s ? s->origin : rule->origin;
}

static int refuse(const struct conf *c, const struct rule *rule, const char *key, const char *what)
{
        struct conf_origin origin = origin_of(c, rule, key);

        return log_error_errno(-EINVAL, "%s:%u: rule \"%s\": %s", origin.file ?: "built in", origin.line,
                               rule->name, what);
}

static bool matches_by_anything(const struct rule *rule)
{
        for (size_t k = 0; k < RULE_KIND_MAX_; k++)
                if (rule_has(rule, k))
                        return true;
        return false;
}

static int check_rule(const struct conf *c, const struct rule *rule)
{
        if (rule_is_default(rule)) {
                if (matches_by_anything(rule))
                        return refuse(c, rule, NULL,
                                      "it is for all that no other rule matches, and takes no key that "
                                      "matches; give the rule another name");
        } else if (!matches_by_anything(rule))
                return refuse(c, rule, NULL,
                              "nothing says what it is about; write Shlib=, Exe=, Comm=, Cgroup=, Unit= or "
                              "User=");

        if (rule->trust != TRUST_USER && !rule_names_processes(rule))
                return refuse(c, rule, "TrustDomain",
                              "TrustDomain= beyond one user needs processes named by Unit=, Cgroup=, User= "
                              "or Exe=, and not by wildcards alone");
        if (rule->trust == TRUST_CGROUP && !rule_has(rule, RULE_CGROUP) && !rule_has(rule, RULE_UNIT))
                return refuse(c, rule, "TrustDomain", "TrustDomain=cgroup needs Cgroup= or Unit=");
        if (rule->on_erosion == RULE_ON_EROSION_UNMERGE && rule_has(rule, RULE_SHLIB))
                return refuse(c, rule, "OnErosion",
                              "OnErosion=unmerge gives back all that a process has merged, and cannot "
                              "be had with Shlib=");
        if (rule->zero_only && rule->mechanism == MECHANISM_KSM)
                return refuse(c, rule, "Mechanism",
                              "ZeroOnly=yes cannot be had with Mechanism=ksm, which merges all that is "
                              "equal");
        return 0;
}

int conf_check(const struct conf *c)
{
        for (size_t i = 0; i < c->n_rules; i++) {
                const struct rule *rule = &c->rules[i];
                int r;

                r = check_rule(c, rule);
                if (r < 0)
                        return r;
                if (rule->owners & RULE_OWNER_STACK) {
                        struct conf_origin origin = origin_of(c, rule, "Owners");

                        log_warning("%s:%u: rule \"%s\": stacks are not looked at; \"stack\" is ignored",
                                    origin.file, origin.line, rule->name);
                }
        }
        return 0;
}
