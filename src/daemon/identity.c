/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fnmatch.h>
#include <inttypes.h>

#include "daemon/identity.h"
#include "shared/log.h"
#include "shared/lookup.h"
#include "shared/parse.h"
#include "shared/pattern.h"

#define IDENTITIES_MAX 1024U

/* Files are replaced and users renamed, rarely. What could not be found out may be by then. */
#define FRESH_USEC (60U * 1000U * 1000U)
/* One that does not fit may just have been replaced, but must not make us ask all the time. */
#define RETRY_USEC (5U * 1000U * 1000U)
/* What held the worker up, like a process that does. */
#define HUNG_USEC (600U * 1000U * 1000U)

struct identity {
        struct identities *all;
        char *key; /* a path, or the number of a user */
        struct mm_file_id file;
        char *user;
        bool pending;
        bool known;    /* what is said above: there was an answer once */
        bool answered; /* to the last question; else why not: */
        int error;
        bool complained; /* about that */
        uint64_t asked_usec;
};

struct identities {
        sd_event *event;
        struct worker *worker;
        struct identity *items[IDENTITIES_MAX];
        uint64_t hashes[IDENTITIES_MAX]; /* of their keys: few of those are compared in full */
        size_t n;
        uint64_t users_retry_usec; /* the database of users is not asked before, for it did not answer */
        bool users_complained, cgroups_complained, exes_complained;
};

static struct identity *identity_free(struct identity *d)
{
        if (d) {
                free(d->key);
                free(d->user);
                free(d);
        }
        return NULL;
}
DEFINE_CLEANUP_FUNC(struct identity *, identity_free)

int identities_new(sd_event *event, struct worker *worker, struct identities **ret)
{
        struct identities *i = calloc(1, sizeof(*i));

        if (!i)
                return -ENOMEM;
        i->event = event;
        i->worker = worker;
        *ret = i;
        return 0;
}

static void forget(struct identities *i, size_t k)
{
        worker_forget(i->worker, i->items[k]);
        identity_free(i->items[k]);
        i->items[k] = i->items[--i->n];
        i->hashes[k] = i->hashes[i->n];
}

struct identities *identities_free(struct identities *i)
{
        if (!i)
                return NULL;
        while (i->n > 0)
                forget(i, i->n - 1);
        free(i);
        return NULL;
}

static bool is_path(const struct identity *d)
{
        return d->key[0] == '/';
}

/* That there is no such file or user is an answer, all else leaves it open. */
static bool is_answer(const struct identity *d, int error)
{
        if (is_path(d))
                return error >= 0 || error == -ENOENT || error == -ENOTDIR || error == -ENAMETOOLONG ||
                       error == -ELOOP;
        return error >= 0 || error == -ESRCH;
}

static void on_row(void *userdata, const union worker_packet *row)
{
        struct identity *d = userdata;
        int error = row->resolved.error;

        if (row->header.type != WORKER_ROW_RESOLVED)
                return;
        d->error = error;
        d->answered = is_answer(d, error);
        if (!d->answered)
                return;
        if (is_path(d)) {
                d->file = error < 0 ? (struct mm_file_id) {} : row->resolved.file;
                return;
        }
        free(d->user);
        d->user = error < 0 ? NULL
                            : strdup(worker_packet_get_text((union worker_packet *) row,
                                                            sizeof(row->resolved)));
        if (error >= 0 && !d->user) {
                d->error = -ENOMEM;
                d->answered = false;
        }
}

/* What was found before still counts where a rule says never; that there was nothing does not. */
static void fail(struct identity *d, int error)
{
        d->pending = false;
        d->known = d->known && (is_path(d) ? mm_file_id_known(&d->file) : d->user != NULL);
        d->answered = false;
        d->error = error;
}

/* Each further question to the database of users would cost a worker too. */
static void give_users_up(struct identities *i, uint64_t asked_usec)
{
        i->users_retry_usec = asked_usec + HUNG_USEC;
        for (size_t k = 0; k < i->n; k++) {
                struct identity *d = i->items[k];

                if (is_path(d) || !d->pending)
                        continue;
                worker_forget(i->worker, d);
                fail(d, -ETIMEDOUT);
        }
}

static void on_done(void *userdata, int error)
{
        struct identity *d = userdata;

        d->pending = false;
        if (error < 0 || !d->answered)
                fail(d, error < 0 ? error : d->error);
        if (error == -ETIMEDOUT && !is_path(d))
                give_users_up(d->all, d->asked_usec);
        if (!d->answered)
                return;
        d->known = true;
        if (d->complained && !is_path(d))
                d->all->users_complained = false;
        d->complained = false;
}

static int ask(struct identities *i, struct identity *d, uint64_t now)
{
        union worker_packet p;
        int r;

        d->asked_usec = now;
        if (!is_path(d) && now < i->users_retry_usec) {
                d->asked_usec = i->users_retry_usec - HUNG_USEC;
                fail(d, -ETIMEDOUT);
                return 0;
        }
        worker_packet_init(&p, WORKER_RESOLVE, sizeof(p.resolve));
        p.resolve.kind = is_path(d) ? WORKER_RESOLVE_PATH : WORKER_RESOLVE_UID;
        worker_packet_text(&p, d->key);
        /* Before: a worker that is gone answers at once. */
        d->pending = true;
        r = worker_call(i->worker, &p, -1, on_row, on_done, d);
        if (r < 0)
                d->pending = false;
        return r;
}

static int add(struct identities *i, const char *key, uint64_t now, struct identity **ret)
{
        _cleanup_(identity_freep) struct identity *d = calloc(1, sizeof(*d));
        size_t oldest = 0;
        int r;

        if (!d)
                return -ENOMEM;
        d->all = i;
        d->key = strdup(key);
        if (!d->key)
                return -ENOMEM;
        r = ask(i, d, now);
        if (r < 0)
                return r;
        if (i->n == IDENTITIES_MAX) {
                for (size_t k = 1; k < i->n; k++)
                        if (i->items[k]->asked_usec < i->items[oldest]->asked_usec)
                                oldest = k;
                forget(i, oldest);
        }
        i->hashes[i->n] = hash_text(key);
        *ret = i->items[i->n++] = TAKE_PTR(d);
        return 0;
}

/* When it is to be asked for again. @file: what it had better be. */
static uint64_t fresh_until(const struct identity *d, const struct mm_file_id *file)
{
        if (!d->answered)
                return d->asked_usec + (d->error == -ETIMEDOUT ? HUNG_USEC : FRESH_USEC);
        return d->asked_usec + (file && !mm_file_id_equal(&d->file, file) ? RETRY_USEC : FRESH_USEC);
}

/* What is known of @key, which may be nothing. Where that can be waited for @waits is set. */
static int look_up(struct identities *i, const char *key, const struct mm_file_id *file,
                   struct identity **ret, bool *waits)
{
        uint64_t now, hash = hash_text(key);
        struct identity *d = NULL;
        int r;

        r = sd_event_now(i->event, CLOCK_MONOTONIC, &now);
        if (r < 0)
                return r;
        for (size_t k = 0; k < i->n && !d; k++)
                if (i->hashes[k] == hash && streq(i->items[k]->key, key))
                        d = i->items[k];
        if (!d)
                r = add(i, key, now, &d);
        else if (!d->pending && now > fresh_until(d, file))
                r = ask(i, d, now);
        if (r < 0)
                return r;
        *waits = *waits || (d->pending && !d->known);
        *ret = d;
        return 0;
}

static void doubt_exe(struct rule_subject *s, const char *pattern)
{
        if (s->n_exe_doubts < RULE_EXE_NAMES_MAX)
                s->exe_doubts[s->n_exe_doubts++] = pattern;
        else
                s->all_exes_doubted = true;
}

static void complain_of_path(struct identity *d, const struct rule *rule)
{
        if (d->complained)
                return;
        d->complained = true;
        log_warning_errno(d->error,
                          "Rule \"%s\" says never of %s, and where that leads cannot be found out: %m. What "
                          "it may be about is left alone until it can.",
                          rule->name, d->key);
}

static void complain_of_user(struct identity *d, const struct rule *rule)
{
        if (d->all->users_complained)
                return;
        d->complained = d->all->users_complained = true;
        log_warning_errno(d->error,
                          "Rule \"%s\" says never of a user by his name, and what user %s is called cannot "
                          "be found out: %m. Whom it may be about is left alone until it can.",
                          rule->name, d->key);
}

/* Whether the very file of @p is found at a path that a rule has written out. */
static int find_exe_name(struct identities *i, const struct mm_process *p, const struct rule *rule,
                         const char *pattern, struct rule_subject *s, bool *waits)
{
        bool never = rule->merge == RULE_MERGE_NEVER;
        struct identity *d;
        int r;

        for (size_t k = 0; k < s->n_exe_names; k++)
                if (streq(s->exe_names[k], pattern))
                        return 0;
        /* The path alone is enough. */
        if (never && p->exe && streq(p->exe, pattern))
                return 0;
        if (!mm_file_id_known(&p->exe_id)) {
                if (never)
                        s->all_exes_doubted = true;
                return 0;
        }
        r = look_up(i, pattern, &p->exe_id, &d, waits);
        if (r < 0)
                return r;
        if (d->known && (d->answered || never) && mm_file_id_equal(&d->file, &p->exe_id)) {
                if (s->n_exe_names < RULE_EXE_NAMES_MAX)
                        s->exe_names[s->n_exe_names++] = pattern;
                else if (never)
                        doubt_exe(s, pattern);
        } else if (never && !d->known) {
                doubt_exe(s, pattern);
                if (!d->pending)
                        complain_of_path(d, rule);
        }
        return 0;
}

/* Whether the path that @p's program had leads to it. */
static int verify_exe(struct identities *i, const struct mm_process *p, const struct rule *rule,
                      const char *pattern, struct rule_subject *s, bool *waits)
{
        struct identity *d;
        int r;

        /* Where the path alone is enough, or does not match, it is not asked for: users choose them. */
        if (rule->merge == RULE_MERGE_NEVER || s->exe_verified || !p->exe ||
            !mm_file_id_known(&p->exe_id) || fnmatch(pattern, p->exe, FNM_PATHNAME) != 0)
                return 0;
        r = look_up(i, p->exe, &p->exe_id, &d, waits);
        if (r >= 0)
                s->exe_verified = d->known && d->answered && mm_file_id_equal(&d->file, &p->exe_id);
        return r;
}

static int find_user_name(struct identities *i, const struct mm_process *p, const struct rule *rule,
                          const char *pattern, struct rule_subject *s, bool *waits)
{
        char number[sizeof("4294967295")];
        struct identity *d;
        uint64_t uid;
        int r;

        if (s->user || parse_uint64(pattern, &uid) >= 0)
                return 0;
        snprintf(number, sizeof(number), "%" PRIu32, (uint32_t) p->ruid);
        r = look_up(i, number, NULL, &d, waits);
        if (r < 0)
                return r;
        s->user = d->user;
        s->user_doubted = !d->known;
        if (!d->known && !d->pending && rule->merge == RULE_MERGE_NEVER)
                complain_of_user(d, rule);
        return 0;
}

/* What no question would bring to light. */
static void complain_of_process(struct identities *i, const struct mm_process *p, const struct rule *rule)
{
        if (rule->merge != RULE_MERGE_NEVER || p->kernel_thread)
                return;
        if (!p->cgroup && (rule_has(rule, RULE_CGROUP) || rule_has(rule, RULE_UNIT)) &&
            !i->cgroups_complained) {
                log_warning("Rule \"%s\" says never of a cgroup or unit, and the kernel does not say which "
                            "cgroup (v2) process %d is in. Whoever it may be about is left alone.",
                            rule->name, p->pid);
                i->cgroups_complained = true;
        }
        if ((!p->exe || !mm_file_id_known(&p->exe_id)) && rule_has(rule, RULE_EXE) && !i->exes_complained) {
                log_warning("Rule \"%s\" says never of a program, and the kernel does not say which one "
                            "process %d runs. Whatever it may be about is left alone.",
                            rule->name, p->pid);
                i->exes_complained = true;
        }
}

static int find_exe(struct identities *i, const struct mm_process *p, const struct rule *rule,
                    struct rule_subject *s, bool *waits)
{
        const struct rule_patterns *exe = &rule->match[RULE_EXE];
        int r = 0;

        for (size_t j = 0; j < exe->n && r >= 0 && !p->kernel_thread; j++)
                r = pattern_is_glob(exe->items[j]) ? verify_exe(i, p, rule, exe->items[j], s, waits)
                                                   : find_exe_name(i, p, rule, exe->items[j], s, waits);
        return r;
}

int identities_subject(struct identities *i, const struct conf *c, const struct mm_process *p,
                       const char *unit, struct rule_subject *ret)
{
        struct rule_subject s = { .process = p, .unit = unit };
        bool waits = false;
        int r = 0;

        for (size_t k = 0; k < c->n_rules && r >= 0; k++) {
                complain_of_process(i, p, &c->rules[k]);
                r = find_exe(i, p, &c->rules[k], &s, &waits);
        }
        /* After all else: a name that is found lasts until something else is looked up. */
        for (size_t k = 0; k < c->n_rules && r >= 0; k++) {
                const struct rule_patterns *user = &c->rules[k].match[RULE_USER];

                for (size_t j = 0; j < user->n && r >= 0; j++)
                        r = find_user_name(i, p, &c->rules[k], user->items[j], &s, &waits);
        }
        if (r < 0)
                return r;
        *ret = s;
        return waits;
}

void identities_retry(struct identities *i)
{
        for (size_t k = i->n; k-- > 0;)
                if (!i->items[k]->answered && !i->items[k]->pending)
                        forget(i, k);
        i->users_retry_usec = 0;
        i->users_complained = i->cgroups_complained = i->exes_complained = false;
}

int identities_wait(struct identities *i, worker_done_t done, void *userdata)
{
        union worker_packet p;

        /* Calls are answered in the order in which they were made. */
        worker_packet_init(&p, WORKER_RESOLVE, sizeof(p.resolve));
        p.resolve.kind = WORKER_RESOLVE_PATH;
        worker_packet_text(&p, "/");
        return worker_call(i->worker, &p, -1, NULL, done, userdata);
}
