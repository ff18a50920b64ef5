/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "shared/conf.h"
#include "shared/log.h"

static void check_rule(const struct rule *rule)
{
        CHECK(rule_name_is_valid(rule->name));
        for (size_t k = 0; k < RULE_KIND_MAX_; k++) {
                CHECK(rule->match[k].n <= RULE_PATTERNS_MAX);
                for (size_t i = 0; i < rule->match[k].n; i++)
                        CHECK(rule->match[k].items[i][0]);
        }
        CHECK(rule_merge_to_string(rule->merge));
        CHECK(mechanism_to_string(rule->mechanism));
        CHECK(trust_to_string(rule->trust));
        CHECK(rule->owners >= 1 && rule->owners <= 15);
        CHECK(rule->cpu_quota_percent <= 6400);
        CHECK(rule->interval_usec >= 1000000 || (rule->interval_usec == 0 && rule_is_default(rule)));
        CHECK(rule->huge_pages < RULE_HUGE_PAGES_MAX_ && rule->on_erosion < RULE_ON_EROSION_MAX_);
}

static void check_numbers(const struct conf *c)
{
        CHECK(mechanism_to_string(c->mechanism));
        CHECK(c->interval_usec >= 1000000 && c->interval_usec <= UINT64_C(86400000000));
        CHECK(c->cpu_quota_percent >= 1 && c->cpu_quota_percent <= 6400);
        CHECK(c->bookkeeping_max_bytes >= 1U << 20 && c->bookkeeping_max_bytes <= UINT64_C(64) << 30);
        CHECK(c->log_level >= LOG_ERR && c->log_level <= LOG_DEBUG);
        CHECK(c->log_mask <= 15);
        CHECK(c->ksm_pages_to_scan >= 1 && c->ksm_pages_to_scan <= 1000000);
        CHECK(c->ksm_sleep_millisecs <= 60000);
        CHECK(c->ksm_use_zero_pages >= -1 && c->ksm_use_zero_pages <= 1);
        CHECK(c->ksm_max_page_sharing != 1 && c->ksm_max_page_sharing <= 1000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(conf_done) struct conf c = {}, again = {};
        int r;

        log_set_level(LOG_EMERG);
        CHECK(conf_init(&c) == 0);
        r = conf_parse("fuzz", (const char *) data, size, &c);
        if (r < 0) {
                CHECK(r == -EINVAL || r == -E2BIG);
                return 0;
        }
        check_numbers(&c);
        CHECK(c.n_rules >= 1 && c.n_rules <= RULES_MAX && c.settings.n <= SETTINGS_MAX);
        for (size_t i = 0; i < c.n_rules; i++)
                check_rule(&c.rules[i]);
        for (size_t i = 0; i < c.settings.n; i++)
                CHECK(c.settings.items[i].origin.line >= 1 && c.settings.items[i].value[0]);
        r = conf_check(&c);
        CHECK(r == 0 || r == -EINVAL);

        /* What is in force, written down and read again, is the same. */
        CHECK(conf_init(&again) == 0);
        for (size_t i = 0; i < c.settings.n; i++) {
                const struct conf_setting *s = &c.settings.items[i];
                char *text;
                int n = asprintf(&text, "[%s]\n%s=%s\n", s->section, s->key, s->value);

                CHECK(n > 0);
                CHECK(conf_parse("again", text, (size_t) n, &again) == 0);
                free(text);
        }
        CHECK(again.settings.n == c.settings.n);
        CHECK(again.interval_usec == c.interval_usec && again.log_mask == c.log_mask &&
              again.ksm_advisor == c.ksm_advisor);
        return 0;
}
