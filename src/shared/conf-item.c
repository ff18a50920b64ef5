/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/conf-item.h"
#include "shared/ini.h"
#include "shared/log.h"
#include "shared/parse.h"
#include "shared/pattern.h"

#define MIB (UINT64_C(1024) * 1024)
#define SEC UINT64_C(1000000)
#define WEEK (7 * 86400 * SEC)

static int parse_mechanism(const struct conf_item *item, const char *value, void *field)
{
        enum mechanism m = mechanism_from_string(value);

        if (m == MECHANISM_INVALID_)
                return -EINVAL;
        *(enum mechanism *) field = m;
        return 0;
}

static int parse_log_level(const struct conf_item *item, const char *value, void *field)
{
        int level = log_level_from_string(value);

        if (level < LOG_ERR)
                return -EINVAL;
        *(int *) field = level;
        return 0;
}

static int check_range(const struct conf_item *item, uint64_t n, uint64_t *ret)
{
        if (n < item->min || n > item->max)
                return -ERANGE;
        *ret = n;
        return 0;
}

static int parse_number(const struct conf_item *item, const char *value, void *field)
{
        uint64_t n;
        int r;

        r = parse_uint64(value, &n);
        return r < 0 ? r : check_range(item, n, field);
}

static int parse_number_or_unset(const struct conf_item *item, const char *value, void *field)
{
        if (*value)
                return parse_number(item, value, field);
        *(uint64_t *) field = 0;
        return 0;
}

static int parse_mask(const struct conf_item *item, const char *value, void *field)
{
        uint64_t n;
        int r;

        r = parse_number(item, value, &n);
        if (r >= 0)
                *(unsigned *) field = (unsigned) n;
        return r;
}

static int parse_size(const struct conf_item *item, const char *value, void *field)
{
        uint64_t n;
        int r;

        r = parse_bytes(value, &n);
        return r < 0 ? r : check_range(item, n, field);
}

static int parse_time(const struct conf_item *item, const char *value, void *field)
{
        uint64_t usec;
        int r;

        r = parse_sec(value, &usec);
        return r < 0 ? r : check_range(item, usec, field);
}

static int parse_time_or_unset(const struct conf_item *item, const char *value, void *field)
{
        if (*value)
                return parse_time(item, value, field);
        *(uint64_t *) field = 0;
        return 0;
}

static int parse_quota(const struct conf_item *item, const char *value, void *field)
{
        return parse_percent(value, field);
}

static int parse_quota_or_unset(const struct conf_item *item, const char *value, void *field)
{
        if (*value)
                return parse_percent(value, field);
        *(unsigned *) field = 0;
        return 0;
}

static int parse_bool(const struct conf_item *item, const char *value, void *field)
{
        return parse_boolean(value, field);
}

static int parse_boolean_or_unset(const struct conf_item *item, const char *value, void *field)
{
        bool b;
        int r;

        if (!*value) {
                *(int *) field = -1;
                return 0;
        }
        r = parse_boolean(value, &b);
        if (r >= 0)
                *(int *) field = b;
        return r;
}

static int parse_advisor(const struct conf_item *item, const char *value, void *field)
{
        bool scan_time = streq(value, "scan-time");

        if (!scan_time && !streq(value, "none"))
                return -EINVAL;
        *(bool *) field = scan_time;
        return 0;
}

static int parse_merge(const struct conf_item *item, const char *value, void *field)
{
        bool b;
        int r;

        if (streq(value, rule_merge_to_string(RULE_MERGE_NEVER))) {
                *(enum rule_merge *) field = RULE_MERGE_NEVER;
                return 0;
        }
        r = parse_boolean(value, &b);
        if (r >= 0)
                *(enum rule_merge *) field = b ? RULE_MERGE_YES : RULE_MERGE_NO;
        return r;
}

static int parse_trust(const struct conf_item *item, const char *value, void *field)
{
        enum trust trust = trust_from_string(value);

        if (trust == TRUST_INVALID_)
                return -EINVAL;
        *(enum trust *) field = trust;
        return 0;
}

static int parse_owners(const struct conf_item *item, const char *value, void *field)
{
        static const char *const names[] = { "library", "heap", "anon", "stack" };
        unsigned owners = 0;

        for (const char *p = value;; p++) {
                size_t n = strcspn(p, ","), i;

                for (i = 0; i < ELEMENTSOF(names); i++)
                        if (strlen(names[i]) == n && strncmp(names[i], p, n) == 0)
                                break;
                if (i == ELEMENTSOF(names))
                        return -EINVAL;
                owners |= 1U << i;
                p += n;
                if (!*p)
                        break;
        }
        *(unsigned *) field = owners;
        return 0;
}

static int parse_huge_pages(const struct conf_item *item, const char *value, void *field)
{
        enum rule_huge_pages huge_pages = rule_huge_pages_from_string(value);

        if (huge_pages == RULE_HUGE_PAGES_INVALID_)
                return -EINVAL;
        *(enum rule_huge_pages *) field = huge_pages;
        return 0;
}

static int parse_on_erosion(const struct conf_item *item, const char *value, void *field)
{
        static const char *const names[] = {
                [RULE_ON_EROSION_COOLDOWN] = "cooldown",
                [RULE_ON_EROSION_UNMERGE] = "unmerge",
                [RULE_ON_EROSION_KEEP] = "keep",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(names[i], value)) {
                        *(enum rule_on_erosion *) field = (enum rule_on_erosion) i;
                        return 0;
                }
        return -EINVAL;
}

static int add_pattern(struct rule_patterns *patterns, char *text)
{
        char **items;

        if (!text)
                return -ENOMEM;
        if (patterns->n >= RULE_PATTERNS_MAX) {
                free(text);
                return -E2BIG;
        }
        items = reallocarray(patterns->items, patterns->n + 1, sizeof(char *));
        if (!items) {
                free(text);
                return -ENOMEM;
        }
        patterns->items = items;
        items[patterns->n++] = text;
        return 0;
}

/* A backslash there would match nothing at all; two, or a blank after one, could not end a line. */
static bool ends_badly(const char *s)
{
        size_t n = strlen(s);

        return n > 0 && strchr("\\" INI_BLANKS, s[n - 1]);
}

static int parse_name(const struct conf_item *item, const char *value, void *field)
{
        return ends_badly(value) ? -EINVAL : add_pattern(field, strdup(value));
}

static int parse_path(const struct conf_item *item, const char *value, void *field)
{
        return value[0] != '/' ? -EINVAL : parse_name(item, value, field);
}

static int parse_library(const struct conf_item *item, const char *value, void *field)
{
        return value[0] != '/' && strchr(value, '/') ? -EINVAL : parse_name(item, value, field);
}

static int parse_cgroup(const struct conf_item *item, const char *value, void *field)
{
        if (value[0] != '/' || ends_badly(value))
                return -EINVAL;
        return add_pattern(field, canonical_cgroup(value));
}

static int parse_unit(const struct conf_item *item, const char *value, void *field)
{
        if (strchr(value, '/') || ends_badly(value))
                return -EINVAL;
        return add_pattern(field, pattern_is_glob(value) ? strdup(value) : canonical_unit(value));
}

#define FIELD(name) offsetof(struct conf, name)
#define RULE_FIELD(name) offsetof(struct rule, name)
#define MATCH(kind) offsetof(struct rule, match[kind]), .list = true

const struct conf_item conf_items[] = {
        { "Daemon", "Mechanism", parse_mechanism, FIELD(mechanism), "auto", "auto, direct, ksm or observe" },
        { "Daemon", "IntervalSec", parse_time, FIELD(interval_usec), "60", "a time from 1s to 1d",
          SEC, 86400 * SEC },
        { "Daemon", "CpuQuota", parse_quota, FIELD(cpu_quota_percent), "5%", "whole percents, 1% to 6400%" },
        { "Daemon", "MaxFrames", parse_number_or_unset, FIELD(max_frames), "",
          "a number from 1, or nothing for what mergemod has", 1, UINT32_MAX },
        { "Daemon", "BookkeepingMax", parse_size, FIELD(bookkeeping_max_bytes), "64M",
          "a size from 1M to 64G", MIB, 65536 * MIB },
        { "Daemon", "OnBattery", parse_bool, FIELD(on_battery), "yes", "yes or no" },
        { "Daemon", "Automatic", parse_bool, FIELD(automatic), "yes", "yes or no" },
        { "Daemon", "LogLevel", parse_log_level, FIELD(log_level), "info",
          "err, warning, notice, info or debug" },
        { "Daemon", "LogMask", parse_mask, FIELD(log_mask), "1", "a number from 0 to 15", 0, 15 },
        { "Daemon", "HistorySec", parse_time, FIELD(history_usec), "604800", "a time from 0 to 52w",
          0, 52 * WEEK },

        { "KSM", "PagesToScan", parse_number, FIELD(ksm_pages_to_scan), "2000",
          "a number from 1 to 1000000", 1, 1000000 },
        { "KSM", "SleepMilliSec", parse_number, FIELD(ksm_sleep_millisecs), "0",
          "a number from 0 to 60000", 0, 60000 },
        { "KSM", "SmartScan", parse_bool, FIELD(ksm_smart_scan), "no", "yes or no" },
        { "KSM", "Advisor", parse_advisor, FIELD(ksm_advisor), "none", "none or scan-time" },
        { "KSM", "UseZeroPages", parse_boolean_or_unset, FIELD(ksm_use_zero_pages), "",
          "yes, no, or nothing for what the kernel has" },
        { "KSM", "MergeAcrossNodes", parse_boolean_or_unset, FIELD(ksm_merge_across_nodes), "",
          "yes, no, or nothing for what the kernel has" },
        { "KSM", "MaxPageSharing", parse_number_or_unset, FIELD(ksm_max_page_sharing), "",
          "a number from 2 to 1000000, or nothing for what the kernel has", 2, 1000000 },

        { "Rule", "Shlib", parse_library, MATCH(RULE_SHLIB), .expected = "names of libraries or paths" },
        { "Rule", "Exe", parse_path, MATCH(RULE_EXE), .expected = "absolute paths of programs" },
        { "Rule", "Comm", parse_name, MATCH(RULE_COMM), .expected = "names of processes" },
        { "Rule", "Cgroup", parse_cgroup, MATCH(RULE_CGROUP), .expected = "paths of cgroups" },
        { "Rule", "Unit", parse_unit, MATCH(RULE_UNIT), .expected = "names of units" },
        { "Rule", "User", parse_name, MATCH(RULE_USER), .expected = "names or numbers of users" },
        { "Rule", "Merge", parse_merge, RULE_FIELD(merge), "yes", "yes, no or never" },
        { "Rule", "ZeroOnly", parse_bool, RULE_FIELD(zero_only), "no", "yes or no", .initial_rest = "yes" },
        { "Rule", "Mechanism", parse_mechanism, RULE_FIELD(mechanism), "auto",
          "auto, direct, ksm or observe" },
        { "Rule", "TrustDomain", parse_trust, RULE_FIELD(trust), "user", "user, cgroup or system" },
        { "Rule", "Owners", parse_owners, RULE_FIELD(owners), "library,heap,anon",
          "some of library,heap,anon,stack" },
        { "Rule", "MinAgeSec", parse_time, RULE_FIELD(min_age_usec), "10", "a time from 0 to 1w", 0, WEEK },
        { "Rule", "IntervalSec", parse_time_or_unset, RULE_FIELD(interval_usec), "15",
          "a time from 1s to 1w", SEC, WEEK, .initial_rest = "" },
        { "Rule", "CpuQuota", parse_quota_or_unset, RULE_FIELD(cpu_quota_percent), "",
          "whole percents, 1% to 6400%" },
        { "Rule", "HugePages", parse_huge_pages, RULE_FIELD(huge_pages), "auto", "auto, keep or split" },
        { "Rule", "OnErosion", parse_on_erosion, RULE_FIELD(on_erosion), "cooldown",
          "cooldown, unmerge or keep" },
        {},
};

const struct conf_item *conf_item_find(const char *section, const char *key)
{
        for (const struct conf_item *i = conf_items; i->key; i++)
                if (streq(i->section, section) && streq(i->key, key))
                        return i;
        return NULL;
}

const char *conf_item_initial(const struct conf_item *item, const struct rule *rule)
{
        return rule && rule_is_default(rule) && item->initial_rest ? item->initial_rest : item->initial;
}

int conf_item_assign(const struct conf_item *item, const char *value, void *base)
{
        return item->parse(item, value, (char *) base + item->offset);
}
