/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/rules.h"
#include "fuzz.h"
#include "shared/log.h"

/* The process, one line each, and the configuration behind them: comm, exe, cgroup, unit, user, library. */
#define LINES 6U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(conf_done) struct conf c = {};
        _cleanup_(freep) char *text = NULL, *path = NULL;
        struct mm_process p = { .pid = 100, .ruid = 1000 };
        struct rule_subject s = { .process = &p, .exe_verified = size % 2 == 0 };
        char *lines[LINES], *end;
        const struct rule *r, *l;

        log_set_level(LOG_EMERG);
        text = malloc(size + 1);
        CHECK(text);
        memcpy(text, data, size);
        text[size] = '\0';
        end = text;
        for (size_t i = 0; i < LINES; i++) {
                lines[i] = end;
                end = strchr(end, '\n');
                if (!end)
                        return 0;
                *end++ = '\0';
        }
        strncpy(p.comm, lines[0], sizeof(p.comm) - 1);
        p.exe = *lines[1] ? lines[1] : NULL;
        p.cgroup = *lines[2] == '/' ? lines[2] : NULL;
        if (p.exe && s.exe_verified)
                s.exe_names[s.n_exe_names++] = p.exe;
        s.unit = *lines[3] ? lines[3] : NULL;
        s.user = *lines[4] ? lines[4] : NULL;

        CHECK(conf_init(&c) == 0);
        if (conf_parse("fuzz", end, size - (size_t) (end - text), &c) < 0 || conf_check(&c) < 0)
                return 0;

        r = rules_for_process(&c, &s);
        l = rules_for_library(&c, &s, lines[5]);
        CHECK(r && rule_match_process(r, &s) && !rule_has(r, RULE_SHLIB));
        CHECK(l && rule_match_process(l, &s) && rule_match_library(l, lines[5]));
        for (size_t i = 0; i < c.n_rules; i++) {
                const struct rule *other = &c.rules[i];

                if (other->merge != RULE_MERGE_NEVER || !rule_match_process(other, &s))
                        continue;
                CHECK(rule_has(other, RULE_SHLIB) || r->merge == RULE_MERGE_NEVER);
                CHECK(!rule_match_library(other, lines[5]) || l->merge == RULE_MERGE_NEVER);
        }
        if (rule_cgroup_path(r, &s, &path) >= 0)
                CHECK(path[0] == '/' && p.cgroup && strncmp(p.cgroup, path, strlen(path)) == 0);
        return 0;
}
