/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account-bus.h"
#include "daemon/answer-text.h"
#include "daemon/called-process.h"
#include "daemon/explain.h"
#include "daemon/identity.h"
#include "daemon/limit.h"
#include "daemon/policy.h"
#include "lib/owner.h"
#include "shared/bus.h"
#include "shared/format.h"
#include "shared/names.h"

struct explaining {
        Manager *manager;
        sd_bus_message *call;
        pid_t pid;
        uint64_t start_ticks;
        uid_t uid;     /* who asks */
        bool only_own; /* he may know of his own processes only */
        bool waited;
};

/* All that is known when the answer is written. */
struct facts {
        const Manager *manager;
        const struct mm_process *process;
        struct rule_subject subject;
        const struct rule *rule;
        enum mechanism mechanism;
        enum exclusion excluded;
        bool liftable; /* by a rule that names the process */
        char *domain;
        const char *busy_domain; /* has KSM, which keeps no domains apart */
        bool only_own;
};

static struct explaining *explaining_free(struct explaining *e)
{
        Manager *m;

        if (!e)
                return NULL;
        m = e->manager;
        worker_forget(m->worker, e);
        for (size_t i = 0; i < m->n_explaining; i++)
                if (m->explaining[i] == e)
                        m->explaining[i] = m->explaining[--m->n_explaining];
        sd_bus_message_unref(e->call);
        free(e);
        return NULL;
}
DEFINE_CLEANUP_FUNC(struct explaining *, explaining_free)

uid_t explaining_uid(const struct explaining *e)
{
        return e->uid;
}

void explain_done(Manager *m)
{
        while (m->n_explaining > 0)
                explaining_free(m->explaining[0]);
}

static enum exclusion exclusion_of(const Manager *m, const struct rule_subject *s, const struct rule *rule)
{
        const struct mm_process *p = s->process;
        enum exclusion why = manager_exclude(m, p, rule_names_processes(rule));

        if (why == EXCLUSION_NONE && rule->merge == RULE_MERGE_NEVER)
                return rule_is_doubtful(rule, s) ? EXCLUSION_DOUBT : EXCLUSION_RULE;
        return why;
}

static int gather(struct facts *f)
{
        const Manager *m = f->manager;
        _cleanup_(freep) char *path = NULL;
        const struct rule *rule;
        int r;

        f->rule = rule = rules_for_process(&m->conf, &f->subject);
        f->mechanism = rule->mechanism == MECHANISM_AUTO ? m->mechanism : rule->mechanism;
        f->excluded = exclusion_of(m, &f->subject, rule);
        f->liftable = f->excluded != EXCLUSION_SELF && f->excluded != EXCLUSION_RULE &&
                      f->excluded != EXCLUSION_DOUBT &&
                      policy_exclude(f->process, true) == EXCLUSION_NONE;
        if (rule_cgroup_path(rule, &f->subject, &path) == -ENOMEM)
                return -ENOMEM;
        r = policy_domain(rule->trust, f->process,
                          f->mechanism == MECHANISM_DIRECT ? NULL : f->subject.unit, path, &f->domain);
        if (r >= 0 && f->mechanism == MECHANISM_KSM && rule->trust != TRUST_SYSTEM)
                f->busy_domain = registry_other_domain(&m->registry, f->domain);
        return r;
}

static int append_text(sd_bus_message *m, const char *key, const char *value)
{
        _cleanup_(freep) char *text = bus_text(value ?: "");

        return text ? sd_bus_message_append(m, "{sv}", key, "s", text) : -ENOMEM;
}

static int append_who(sd_bus_message *m, const struct facts *f)
{
        const struct mm_process *p = f->process;
        int r;

        r = sd_bus_message_append(m, "{sv}{sv}", "pid", "u", (uint32_t) p->pid, "uid", "u",
                                  (uint32_t) p->ruid);
        if (r >= 0)
                r = append_text(m, "comm", p->comm);
        if (r >= 0)
                r = append_text(m, "exe", p->exe);
        if (r >= 0)
                r = append_text(m, "cgroup", p->cgroup);
        return r < 0 ? r : append_text(m, "unit", f->subject.unit);
}

static int append_why(sd_bus_message *m, const struct facts *f)
{
        const struct rule *rule = f->rule;
        int r;

        r = append_text(m, "rule", rule->name);
        if (r >= 0 && rule->origin.file)
                r = append_text(m, "rule_file", rule->origin.file);
        if (r >= 0 && rule->origin.file)
                r = sd_bus_message_append(m, "{sv}", "rule_line", "u", (uint32_t) rule->origin.line);
        if (r >= 0)
                r = sd_bus_message_append(
                        m, "{sv}{sv}{sv}{sv}{sv}{sv}", "merge", "s", rule_merge_to_string(rule->merge),
                        "zero_only", "b", (int) rule->zero_only, "trust", "s", trust_to_string(rule->trust),
                        "mechanism", "s", mechanism_to_string(f->mechanism), "mechanism_works", "b",
                        (int) f->manager->mechanisms[f->mechanism].works, "min_age_usec", "t",
                        rule->min_age_usec);
        if (r >= 0)
                r = append_text(m, "domain", f->domain);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}", "excluded", "s", exclusion_to_string(f->excluded),
                                          "liftable", "b", (int) f->liftable);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "busy", "b", (int) (f->busy_domain != NULL));
        /* Whose memory it is is none of a user's business. */
        return r < 0 ? r : append_text(m, "busy_domain", f->only_own ? NULL : f->busy_domain);
}

static int append_part(sd_bus_message *m, const struct facts *f, const struct account_part *part,
                       struct answer_text *names)
{
        const char *path = part->owner->name;
        _cleanup_(freep) char *name = NULL;
        const struct rule *rule = f->rule;
        int r;

        r = answer_text_take_or_none(names, path, &name);
        if (r < 0)
                return r;
        if (part->owner->kind == MM_OWNER_LIBRARY)
                rule = rules_for_library(&f->manager->conf, &f->subject, path);
        r = sd_bus_message_open_container(m, 'r', "sssa{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "sss", mm_owner_kind_name(part->owner->kind), name, rule->name);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = account_append(&part->figures, m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_found(sd_bus_message *m, const struct facts *f)
{
        const struct account_process *a =
                account_find(&f->manager->account, f->process->pid, f->process->start_ticks);
        struct answer_text names = {};
        int r;

        r = account_append(a ? &a->figures : NULL, m);
        if (r >= 0)
                r = bus_open_array(m, "owners", "(sssa{sv})");
        for (size_t i = 0; r >= 0 && a && i < a->n_parts; i++)
                r = append_part(m, f, &a->parts[i], &names);
        return r < 0 ? r : bus_close_array(m);
}

static int answer(struct explaining *e, struct facts *f)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = gather(f);
        if (r < 0)
                return r;
        manager_update_account(e->manager);
        r = sd_bus_message_new_method_return(e->call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = append_who(reply, f);
        if (r >= 0)
                r = append_why(reply, f);
        if (r >= 0)
                r = append_found(reply, f);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static void on_names_known(void *userdata, int error);

/* 1: the answer is given, or will be. */
static int proceed(struct explaining *e, sd_bus_error *error)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        _cleanup_(freep) char *unit = NULL, *domain = NULL;
        struct facts f = { .manager = e->manager, .process = &p, .only_own = e->only_own };
        int r;

        if (mm_process_open(e->manager->proc_fd, e->pid, false, &p) < 0 || p.start_ticks != e->start_ticks ||
            (e->only_own && !selector_is_of(&p, e->uid)))
                return called_process_is_gone(e->pid, error);
        if (p.cgroup && mm_cgroup_unit(p.cgroup, &unit) == -ENOMEM)
                return -ENOMEM;
        r = identities_subject(e->manager->identities, &e->manager->conf, &p, unit, &f.subject);
        if (r > 0 && !e->waited) {
                e->waited = true;
                r = identities_wait(e->manager->identities, on_names_known, e);
                return r < 0 ? r : 1;
        }
        if (r >= 0)
                r = answer(e, &f);
        domain = f.domain;
        if (r >= 0)
                explaining_free(e);
        return r < 0 ? r : 1;
}

static void on_names_known(void *userdata, int unused)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        struct explaining *e = userdata;
        int r;

        r = proceed(e, &error);
        if (r >= 0)
                return;
        (void) sd_bus_reply_method_errno(e->call, r, &error);
        explaining_free(e);
}

static int start(Manager *m, sd_bus_message *call, const struct mm_process *p, uid_t uid, bool only_own,
                 sd_bus_error *error)
{
        _cleanup_(explaining_freep) struct explaining *e = NULL;
        int r;

        r = limit_explaining(m, uid, only_own, error);
        if (r < 0)
                return r;
        e = malloc(sizeof(*e));
        if (!e)
                return -ENOMEM;
        *e = (struct explaining) {
                .manager = m,
                .call = sd_bus_message_ref(call),
                .pid = p->pid,
                .start_ticks = p->start_ticks,
                .uid = uid,
                .only_own = only_own,
        };
        m->explaining[m->n_explaining++] = e;
        r = proceed(e, error);
        if (r >= 0)
                TAKE_PTR(e);
        return r;
}

static int start_permitted(Manager *m, sd_bus_message *call, enum auth_action granted, sd_bus_error *error)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        uid_t uid;
        int r;

        r = auth_caller(m, call, &uid, error);
        if (r >= 0)
                r = called_process_read(m, call, &p, error);
        if (r < 0)
                return r;
        return start(m, call, &p, uid, false, error);
}

int explain_process(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        Manager *manager = userdata;
        uid_t uid;
        int r;

        r = auth_caller(manager, m, &uid, error);
        if (r >= 0)
                r = called_process_read(manager, m, &p, error);
        if (r < 0)
                return r;
        if (uid == 0 || !selector_is_of(&p, uid))
                return auth_check(manager, m, AUTH_INSPECT, start_permitted, error);
        /* What is his own he can see anyway. */
        return start(manager, m, &p, uid, true, error);
}
