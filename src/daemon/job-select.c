/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/identity.h"
#include "daemon/job.h"
#include "daemon/limit.h"
#include "shared/lookup.h"
#include "shared/names.h"

/* Why nothing runs that is meant by @v. */
static void fail_missing(struct job *j, const struct selector_value *v)
{
        _cleanup_(freep) char *text = NULL;
        const char *name = selector_missing_error(&j->selector, v, &text);

        job_fail(j, name, "%s", text ?: "Nothing matches.");
}

int job_domain_of(const struct job *j, const struct mm_process *p, const char *unit, const char *cgroup,
                  char **ret)
{
        /* mergemod knows no units, and keeps root's processes apart by cgroup. */
        return policy_domain(j->selector.trust, p, j->mechanism == MECHANISM_DIRECT ? NULL : unit, cgroup,
                             ret);
}

int job_add_target(struct job *j, struct mm_process *p, const char *unit, const char *cgroup, bool selected)
{
        _cleanup_(freep) char *domain = NULL, *user_domain = NULL;
        struct job_target *targets;
        uint32_t index = 0;
        int r;

        r = job_domain_of(j, p, unit, cgroup, &domain);
        if (r >= 0 && j->selector.trust != TRUST_USER)
                r = policy_domain(TRUST_USER, p, unit, NULL, &user_domain);
        if (r < 0)
                return r;
        if (selected) {
                size_t n = j->report.n_domains;

                r = report_find_domain(&j->report, domain, &index);
                if (r < 0)
                        return r;
                if (index == n)
                        j->report.domains[n].first = (uint32_t) j->n_targets;
        }
        if (j->n_targets >= MM_TARGETS_MAX)
                return -E2BIG;
        targets = array_grow(j->targets, j->n_targets, sizeof(*targets));
        if (!targets)
                return -ENOMEM;
        j->targets = targets;
        targets[j->n_targets++] = (struct job_target) {
                .pid = p->pid,
                .start_ticks = p->start_ticks,
                .dir_fd = TAKE_FD(p->dir_fd),
                .pid_fd = TAKE_FD(p->pid_fd),
                .parent = p->parent,
                .domain_text = TAKE_PTR(domain),
                .user_domain = TAKE_PTR(user_domain),
                .domain = index,
                .exe_id = p->exe_id,
                .exe = TAKE_PTR(p->exe),
                .cgroup = TAKE_PTR(p->cgroup),
                .selected = selected,
        };
        if (selected)
                j->n_expected_pages += p->rss_anon_bytes / MM_PAGE_SIZE;
        return 0;
}

/* Whether a rule says never, and which may say so of libraries. What is merged already is given back all the
 * same. */
static int find_forbidden(struct job *j, const struct mm_process *p, const char *unit,
                          enum exclusion *ret_why, struct worker_other_rules *ret)
{
        struct rule_subject subject;
        const struct rule *rule;
        int r;

        if (j->type == JOB_UNMERGE)
                return 0;
        r = identities_subject(j->manager->identities, &j->manager->conf, p, unit, &subject);
        if (r < 0)
                return r;
        j->waits = j->waits || r > 0;
        job_note_other_rules(j, &subject, ret);
        rule = rules_for_process(&j->manager->conf, &subject);
        if (rule->merge == RULE_MERGE_NEVER)
                *ret_why = rule_is_doubtful(rule, &subject) ? EXCLUSION_DOUBT : EXCLUSION_RULE;
        return 0;
}

static int on_process(void *userdata, struct mm_process *p, const char *unit)
{
        struct job *j = userdata;
        Manager *m = j->manager;
        bool selected, hung = manager_is_hung(m, p->pid, p->start_ticks);
        const struct rule_subject subject = { .process = p, .unit = unit };
        const struct rule *rule = job_tried_rule(j);
        struct worker_other_rules other_rules = {};
        _cleanup_(freep) char *cgroup = NULL;
        enum exclusion why;
        int r;

        r = rule ? job_tried_match(j, p, unit) : selector_match(&j->selector, p, unit);
        if (r < 0)
                return r;
        selected = r > 0;
        why = manager_exclude(m, p, job_names_processes(j));
        if (selected && why == EXCLUSION_NONE) {
                r = find_forbidden(j, p, unit, &why, &other_rules);
                if (r < 0)
                        return r;
        }

        if (selected && why != EXCLUSION_KERNEL)
                job_log_selected(j, p, why);
        /* Kernel threads have no memory: not even worth a line, unless one was asked for. */
        if (selected && why != EXCLUSION_NONE &&
            (why != EXCLUSION_KERNEL || selector_has(&j->selector, SELECTOR_PID))) {
                r = report_count(&j->report.excluded, exclusion_to_string(why), 1);
                if (r < 0)
                        return r;
        }
        if (why == EXCLUSION_KERNEL || why == EXCLUSION_ENDED || why == EXCLUSION_SELF)
                return 0;
        selected = selected && why == EXCLUSION_NONE;
        if (selected && j->type != JOB_UNMERGE &&
            !limit_take(m, &j->selector, p->rss_anon_bytes / MM_PAGE_SIZE + 1)) {
                selected = false;
                r = report_count(&j->report.excluded, "beyond this user's budget", 1);
                if (r < 0)
                        return r;
        }
        /* With KSM everybody counts who has registered memory, whether meant or not, and whether his
         * memory can be read or not. */
        if (!selected && j->type != JOB_MERGE)
                return 0;
        if (rule && rule_cgroup_path(rule, &subject, &cgroup) == -ENOMEM)
                return -ENOMEM;
        r = job_add_target(j, p, unit, rule ? cgroup : selector_cgroup_of(&j->selector, p, unit), selected);
        if (r < 0)
                return r;
        j->targets[j->n_targets - 1].other_rules = other_rules;
        j->targets[j->n_targets - 1].hung = hung;
        return 0;
}

static void on_listed(struct job *j)
{
        const struct selector_value *missing;
        size_t n_selected = 0;

        missing = selector_unseen(&j->selector, false);
        if (missing) {
                fail_missing(j, missing);
                return;
        }
        for (size_t i = 0; i < j->n_targets; i++)
                n_selected += j->targets[i].selected;
        if (n_selected == 0) {
                if (j->report.excluded.n > 0)
                        job_fail(j, MERGEMEM_ERROR_NOTHING_MATCHES,
                                 "No process that may be looked at matches; left out: %s.",
                                 j->report.excluded.items[0].name);
                else
                        job_fail(j, MERGEMEM_ERROR_NOTHING_MATCHES,
                                 "No process%s matches all that was asked for.",
                                 j->selector.only_own ? " of your own" : "");
                return;
        }
        if (j->type == JOB_UNMERGE)
                job_unmerge(j);
        else
                job_scan(j);
}

static void on_resolve_done(void *userdata, int error)
{
        struct job *j = userdata;

        if (error == -ESRCH) {
                fail_missing(j, &j->selector.values[j->resolve.next]);
                return;
        }
        if (error < 0) {
                if (error == -ETIMEDOUT)
                        limit_penalize(j->manager, &j->selector);
                job_fail(j, MERGEMEM_ERROR_FAILED,
                         "Cannot look up %s: the file system or user database does not answer.",
                         j->selector.values[j->resolve.next].text);
                return;
        }
        job_list(j, on_process, on_listed);
}

void job_select(struct job *j)
{
        resolve_start(&j->resolve, j->manager->worker, &j->selector, on_resolve_done, j);
}
