/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/identity.h"
#include "daemon/job.h"
#include "daemon/limit.h"

const struct rule *job_tried_rule(const struct job *j)
{
        return j->tried.n_rules > 1 ? &j->tried.rules[1] : NULL;
}

int job_tried_match(struct job *j, const struct mm_process *p, const char *unit)
{
        struct rule_subject subject;
        int r;

        r = identities_subject(j->manager->identities, &j->tried, p, unit, &subject);
        if (r < 0)
                return r;
        j->waits = j->waits || r > 0;
        return rule_match_process(job_tried_rule(j), &subject);
}

int job_new_tried(Manager *manager, struct conf *c, uid_t uid, sd_bus_message *m, sd_bus_error *error)
{
        _cleanup_(selector_done) struct selector s = {
                .trust = c->rules[1].trust,
                .mechanism = c->rules[1].mechanism,
                .huge_pages = c->rules[1].huge_pages,
                .others = true,
                .owner = uid,
        };
        const struct rule *rule;
        struct job *j;
        int r;

        r = job_add_libraries(&s, &c->rules[1]);
        if (r >= 0)
                r = limit_job(manager, &s, error);
        if (r >= 0)
                r = job_new(manager, JOB_ESTIMATE, &s, uid, m, &j);
        if (r < 0)
                return r;
        j->tried = TAKE_GENERIC(*c, (struct conf) {});
        rule = job_tried_rule(j);
        j->left_out = ~rule_owners(rule);
        j->zero_only = rule->zero_only;
        if (manager->running)
                job_accept(j);
        else
                manager_dispatch(manager);
        return 0;
}
