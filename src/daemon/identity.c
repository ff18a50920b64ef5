/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fnmatch.h>
#include <inttypes.h>

#include "daemon/identity.h"
#include "shared/parse.h"
#include "shared/pattern.h"

#define IDENTITIES_MAX 1024U

/* Files are replaced and users renamed, rarely. */
#define FRESH_USEC (60U * 1000U * 1000U)
/* One that does not fit may just have been replaced, but must not make us ask all the time. */
#define RETRY_USEC (5U * 1000U * 1000U)
/* One that held the worker up, like a process that does. */
#define FAILED_USEC (600U * 1000U * 1000U)

struct identity {
        char *key; /* a path, or the number of a user */
        struct mm_file_id file;
        char *user;
        bool pending, known, failed;
        uint64_t asked_usec;
};

struct identities {
        sd_event *event;
        struct worker *worker;
        struct identity *items[IDENTITIES_MAX];
        size_t n;
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

static void on_row(void *userdata, const union worker_packet *row)
{
        struct identity *d = userdata;
        char *user;

        if (row->header.type != WORKER_ROW_RESOLVED)
                return;
        d->file = (struct mm_file_id) {};
        if (row->resolved.error >= 0)
                d->file = row->resolved.file;
        if (d->key[0] == '/')
                return;
        user = row->resolved.error < 0 ? NULL
                                       : strdup(worker_packet_get_text((union worker_packet *) row,
                                                                       sizeof(row->resolved)));
        free(d->user);
        d->user = user;
}

static void on_done(void *userdata, int error)
{
        struct identity *d = userdata;

        d->pending = false;
        d->known = true;
        d->failed = error < 0;
}

static int ask(struct identities *i, struct identity *d, uint64_t now)
{
        union worker_packet p;
        int r;

        worker_packet_init(&p, WORKER_RESOLVE, sizeof(p.resolve));
        p.resolve.kind = d->key[0] == '/' ? WORKER_RESOLVE_PATH : WORKER_RESOLVE_UID;
        worker_packet_text(&p, d->key);
        /* Before: a worker that is gone answers at once. */
        d->pending = true;
        d->asked_usec = now;
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
        *ret = i->items[i->n++] = TAKE_PTR(d);
        return 0;
}

/* 1 and *@ret if something is known of @key, 0 if not yet. @file: what it had better be. */
static int look_up(struct identities *i, const char *key, const struct mm_file_id *file,
                   const struct identity **ret)
{
        struct identity *d = NULL;
        uint64_t now, limit;
        int r;

        r = sd_event_now(i->event, CLOCK_MONOTONIC, &now);
        if (r < 0)
                return r;
        for (size_t k = 0; k < i->n && !d; k++)
                if (streq(i->items[k]->key, key))
                        d = i->items[k];
        if (!d)
                r = add(i, key, now, &d);
        else {
                limit = d->failed                                   ? FAILED_USEC
                        : file && !mm_file_id_equal(&d->file, file) ? RETRY_USEC
                                                                    : FRESH_USEC;
                if (!d->pending && now - d->asked_usec > limit)
                        r = ask(i, d, now);
        }
        if (r < 0)
                return r;
        *ret = d;
        return d->known;
}

/* Whether @path leads to the program of @p. */
static int look_up_exe(struct identities *i, const char *path, const struct mm_process *p)
{
        const struct identity *d;
        int r;

        r = look_up(i, path, &p->exe_id, &d);
        if (r <= 0)
                return r < 0 ? r : -EAGAIN;
        return mm_file_id_known(&d->file) && mm_file_id_equal(&d->file, &p->exe_id);
}

static int find_exe_name(struct identities *i, const struct mm_process *p, const char *pattern,
                         struct rule_subject *s)
{
        int r;

        if (pattern_is_glob(pattern)) {
                /* What does not match need not be asked for: users choose these paths. */
                if (s->exe_verified || !p->exe || fnmatch(pattern, p->exe, FNM_PATHNAME) != 0)
                        return 0;
                r = look_up_exe(i, p->exe, p);
                s->exe_verified = r > 0;
                return r;
        }
        for (size_t k = 0; k < s->n_exe_names; k++)
                if (streq(s->exe_names[k], pattern))
                        return 0;
        if (s->n_exe_names == RULE_EXE_NAMES_MAX)
                return 0;
        r = look_up_exe(i, pattern, p);
        if (r > 0)
                s->exe_names[s->n_exe_names++] = pattern;
        return r;
}

static int find_user_name(struct identities *i, const struct mm_process *p, const char *pattern,
                          struct rule_subject *s)
{
        const struct identity *d;
        char number[sizeof("4294967295")];
        uint64_t uid;
        int r;

        if (s->user || parse_uint64(pattern, &uid) >= 0)
                return 0;
        snprintf(number, sizeof(number), "%" PRIu32, (uint32_t) p->ruid);
        r = look_up(i, number, NULL, &d);
        if (r > 0)
                s->user = d->user;
        return r != 0 ? r : -EAGAIN;
}

int identities_subject(struct identities *i, const struct conf *c, const struct mm_process *p,
                       const char *unit, struct rule_subject *ret)
{
        struct rule_subject s = { .process = p, .unit = unit };
        bool waits = false;

        for (size_t k = 0; k < c->n_rules; k++) {
                const struct rule_patterns *exe = &c->rules[k].match[RULE_EXE];
                int r = 0;

                for (size_t j = 0; j < exe->n && mm_file_id_known(&p->exe_id); j++) {
                        r = find_exe_name(i, p, exe->items[j], &s);
                        if (r < 0 && r != -EAGAIN)
                                return r;
                        waits = waits || r == -EAGAIN;
                }
        }
        /* After all else: a name that is found lasts until something else is looked up. */
        for (size_t k = 0; k < c->n_rules; k++) {
                const struct rule_patterns *user = &c->rules[k].match[RULE_USER];
                int r = 0;

                for (size_t j = 0; j < user->n; j++) {
                        r = find_user_name(i, p, user->items[j], &s);
                        if (r < 0 && r != -EAGAIN)
                                return r;
                        waits = waits || r == -EAGAIN;
                }
        }
        *ret = s;
        return waits;
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
