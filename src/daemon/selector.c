/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/stat.h>

#include "daemon/selector.h"
#include "shared/pattern.h"

static const char *const kind_names[SELECTOR_KIND_MAX_] = {
        [SELECTOR_PID] = "pid",       [SELECTOR_COMM] = "comm", [SELECTOR_EXE] = "exe",
        [SELECTOR_CGROUP] = "cgroup", [SELECTOR_UNIT] = "unit", [SELECTOR_USER] = "user",
        [SELECTOR_SHLIB] = "shlib",   [SELECTOR_PROGRAM] = "program",
};

enum selector_kind selector_kind_from_string(const char *s)
{
        for (int i = 0; i < SELECTOR_KIND_MAX_; i++)
                if (i != SELECTOR_PROGRAM && streq(kind_names[i], s))
                        return (enum selector_kind) i;
        return SELECTOR_KIND_INVALID_;
}

const char *selector_kind_to_string(enum selector_kind kind)
{
        return kind_names[kind];
}

void selector_done(struct selector *s)
{
        for (size_t i = 0; i < s->n_values; i++)
                free(s->values[i].text);
        free(s->values);
        *s = (struct selector) {};
}

static bool text_is_valid(enum selector_kind kind, const char *text)
{
        size_t n = strnlen(text, SELECTOR_TEXT_MAX);

        if (n == 0 || n >= SELECTOR_TEXT_MAX)
                return false;
        switch (kind) {
        case SELECTOR_EXE:
        case SELECTOR_CGROUP:
                return text[0] == '/';
        case SELECTOR_SHLIB:
                return text[0] == '/' || !strchr(text, '/');
        case SELECTOR_UNIT:
        case SELECTOR_PROGRAM:
                return !strchr(text, '/');
        default:
                return true;
        }
}

int selector_add(struct selector *s, enum selector_kind kind, const char *text, pid_t pid)
{
        struct selector_value *values;
        char *copy = NULL;
        size_t n;

        if (kind == SELECTOR_PID ? pid < 1 : !text_is_valid(kind, text))
                return -EINVAL;
        n = kind == SELECTOR_PID ? 0 : strlen(text) + 1;
        if (s->n_values >= SELECTOR_VALUES_MAX || n > SELECTOR_BYTES_MAX - s->n_bytes)
                return -E2BIG;
        values = reallocarray(s->values, s->n_values + 1, sizeof(*values));
        if (!values)
                return -ENOMEM;
        s->values = values;
        if (kind != SELECTOR_PID) {
                copy = kind == SELECTOR_CGROUP ? canonical_cgroup(text)
                       : kind == SELECTOR_UNIT ? canonical_unit(text)
                                               : strdup(text);
                if (!copy)
                        return -ENOMEM;
        }
        s->n_bytes += n;
        s->values[s->n_values++] = (struct selector_value) {
                .kind = kind,
                .text = copy,
                .pid = pid,
                .uid = (uid_t) -1,
        };
        return 0;
}

size_t selector_count(const struct selector *s, enum selector_kind kind)
{
        size_t n = 0;

        for (size_t i = 0; i < s->n_values; i++)
                n += s->values[i].kind == kind;
        return n;
}

bool selector_has(const struct selector *s, enum selector_kind kind)
{
        return selector_count(s, kind) > 0;
}

bool selector_is_empty(const struct selector *s)
{
        return s->n_values == 0 && !s->all;
}

static bool value_names_processes(const struct selector_value *v)
{
        if (v->kind == SELECTOR_EXE || v->kind == SELECTOR_UNIT || v->kind == SELECTOR_USER)
                return true;
        /* The cgroup at the top is everybody's: whoever names it names nobody. */
        return v->kind == SELECTOR_CGROUP && v->text[strspn(v->text, "/")];
}

bool selector_names_processes(const struct selector *s)
{
        bool named[SELECTOR_KIND_MAX_] = {}, unnamed[SELECTOR_KIND_MAX_] = {}, some = false;

        if (s->only_own)
                return false;
        for (size_t i = 0; i < s->n_values; i++) {
                const struct selector_value *v = &s->values[i];

                if (value_names_processes(v))
                        named[v->kind] = true;
                else
                        unnamed[v->kind] = true;
        }
        /* Of alternatives none may be one that others can take. */
        for (int i = 0; i < SELECTOR_KIND_MAX_; i++) {
                if (s->any && unnamed[i] && i != SELECTOR_SHLIB)
                        return false;
                some = some || (named[i] && !unnamed[i]);
        }
        return some;
}

void selector_note_user_ns(struct selector *s)
{
        struct stat st;

        if (stat("/proc/self/ns/user", &st) >= 0)
                s->user_ns = (struct mm_file_id) { .dev = st.st_dev, .ino = st.st_ino };
}

bool selector_value_needs_resolving(const struct selector_value *v)
{
        return v->kind == SELECTOR_USER || v->kind == SELECTOR_EXE ||
               (v->kind == SELECTOR_SHLIB && v->text[0] == '/');
}

bool cgroup_contains(const char *parent, const char *cgroup)
{
        size_t n = strlen(parent);

        if (streq(parent, "/"))
                return true;
        return strncmp(parent, cgroup, n) == 0 && (cgroup[n] == 0 || cgroup[n] == '/');
}

/* The file is what counts. One that was replaced under running programs has only its name left,
 * which means something where nobody mounts what he likes: in our user namespace. */
static bool exe_match(const struct selector *s, const struct selector_value *v, const struct mm_process *p)
{
        if (mm_file_id_known(&v->file) && mm_file_id_equal(&p->exe_id, &v->file))
                return true;
        /* Only a path tells what a program was that is gone, and in a mount namespace of his own a user can
         * have any: not enough to let others share with it. */
        return s->trust == TRUST_USER && p->exe && p->exe_deleted && mm_file_id_known(&s->user_ns) &&
               mm_file_id_equal(&p->user_ns, &s->user_ns) && streq(p->exe, v->text);
}

static bool program_match(const char *name, const struct mm_process *p)
{
        const char *slash = p->exe ? strrchr(p->exe, '/') : NULL;

        return streq(p->comm, name) || (slash && streq(slash + 1, name));
}

static bool value_match(const struct selector *s, const struct selector_value *v, const struct mm_process *p,
                        const char *unit)
{
        switch (v->kind) {
        case SELECTOR_PID:
                return p->pid == v->pid;
        case SELECTOR_COMM:
                return streq(p->comm, v->text);
        case SELECTOR_PROGRAM:
                return program_match(v->text, p);
        case SELECTOR_EXE:
                return exe_match(s, v, p);
        case SELECTOR_CGROUP:
                return p->cgroup && cgroup_contains(v->text, p->cgroup);
        case SELECTOR_UNIT:
                return unit && streq(unit, v->text);
        case SELECTOR_USER:
                return p->ruid == v->uid;
        default:
                return false;
        }
}

bool selector_is_of(const struct mm_process *p, uid_t uid)
{
        return p->ruid == uid && p->euid == uid && p->suid == uid && p->fsuid == uid;
}

bool selector_match(struct selector *s, const struct mm_process *p, const char *unit)
{
        bool asked[SELECTOR_KIND_MAX_] = {}, matched[SELECTOR_KIND_MAX_] = {};
        bool some_asked = false, some_matched = false;

        if (s->only_own && !selector_is_of(p, s->owner))
                return false;
        for (size_t i = 0; i < s->n_values; i++) {
                struct selector_value *v = &s->values[i];

                if (v->kind == SELECTOR_SHLIB)
                        continue;
                asked[v->kind] = some_asked = true;
                if (!value_match(s, v, p, unit))
                        continue;
                v->seen = matched[v->kind] = some_matched = true;
        }
        if (s->any)
                return some_matched || !some_asked;
        for (int i = 0; i < SELECTOR_KIND_MAX_; i++)
                if (asked[i] && !matched[i])
                        return false;
        return true;
}

const struct selector_value *selector_unseen(const struct selector *s, bool libraries)
{
        for (size_t i = 0; i < s->n_values; i++)
                if (!s->values[i].seen && (s->values[i].kind == SELECTOR_SHLIB) == libraries)
                        return &s->values[i];
        return NULL;
}

const char *selector_cgroup_of(const struct selector *s, const struct mm_process *p, const char *unit)
{
        for (size_t i = 0; i < s->n_values; i++) {
                const struct selector_value *v = &s->values[i];

                if ((v->kind == SELECTOR_CGROUP || v->kind == SELECTOR_UNIT) && value_match(s, v, p, unit))
                        return v->text;
        }
        return NULL;
}

/* The kernel's own names are told apart by an underscore. */
size_t cgroup_unit_length(const char *cgroup, const char *unit)
{
        size_t n = strlen(unit);

        for (const char *p = cgroup; (p = strchr(p, '/'));) {
                p++;
                if (*p == '_')
                        p++;
                if (strncmp(p, unit, n) == 0 && (p[n] == 0 || p[n] == '/'))
                        return (size_t) (p - cgroup) + n;
        }
        return 0;
}

char *selector_cgroup_path(const struct selector *s, const char *cgroup)
{
        for (size_t i = 0; i < s->n_values; i++) {
                const struct selector_value *v = &s->values[i];
                size_t n;

                if (v->kind == SELECTOR_CGROUP && cgroup_contains(v->text, cgroup))
                        return strdup(v->text);
                n = v->kind == SELECTOR_UNIT ? cgroup_unit_length(cgroup, v->text) : 0;
                if (n > 0)
                        return strndup(cgroup, n);
        }
        return NULL;
}
