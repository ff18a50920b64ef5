/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"

/* Which libraries' memory a round is about. A turn of a rule leaves to others what they decide about, a job
 * on command what a rule says never: how well their patterns match is known where the libraries are, in the
 * worker; the rest, here. */

static void libraries_next(struct job *j);

int job_add_libraries(struct selector *s, const struct rule *rule)
{
        const struct rule_patterns *libraries = &rule->match[RULE_SHLIB];

        for (size_t i = 0; i < libraries->n; i++) {
                int r = selector_add(s, SELECTOR_SHLIB, libraries->items[i], 0);

                if (r < 0)
                        return r;
                s->values[i].seen = true;
        }
        return 0;
}

const struct selector_value *job_library_at(const struct job *j, size_t index)
{
        for (size_t i = 0; i < j->selector.n_values; i++)
                if (j->selector.values[i].kind == SELECTOR_SHLIB && index-- == 0)
                        return &j->selector.values[i];
        return NULL;
}

static bool may_decide(const struct job *j, const struct rule *other)
{
        if (!rule_has(other, RULE_SHLIB))
                return false;
        return j->by_rule ? j->rule && !streq(other->name, j->rule->name)
                          : other->merge == RULE_MERGE_NEVER;
}

int job_copy_other_rules(struct job *j)
{
        const struct conf *c = &j->manager->conf;
        size_t n = 0;

        job_clear_other_rules(j);
        for (size_t i = 0; i < c->n_rules; i++)
                n += may_decide(j, &c->rules[i]) ? c->rules[i].match[RULE_SHLIB].n : 0;
        if (n == 0)
                return 0;
        j->others = calloc(n, sizeof(*j->others));
        if (!j->others)
                return -ENOMEM;
        for (size_t i = 0; i < c->n_rules; i++) {
                const struct rule_patterns *libraries = &c->rules[i].match[RULE_SHLIB];

                for (size_t k = 0; k < libraries->n && may_decide(j, &c->rules[i]); k++) {
                        struct job_other *other = &j->others[j->n_others];

                        *other = (struct job_other) {
                                .rule = (uint32_t) i,
                                .never = c->rules[i].merge == RULE_MERGE_NEVER,
                                .pattern = strdup(libraries->items[k]),
                        };
                        if (!other->pattern)
                                return -ENOMEM;
                        j->n_others++;
                }
        }
        return 0;
}

void job_clear_other_rules(struct job *j)
{
        for (size_t i = 0; i < j->n_others; i++)
                free(j->others[i].pattern);
        free(TAKE_PTR(j->others));
        j->n_others = 0;
}

static void on_library_done(void *userdata, int error)
{
        struct job *j = userdata;

        if (error < 0) {
                if (!job_retry(j, error))
                        job_fail_errno(j, error, "The worker cannot go on");
                return;
        }
        j->next++;
        libraries_next(j);
}

static void libraries_next(struct job *j)
{
        const struct selector_value *v = job_library_at(j, j->next);
        const struct job_other *other;
        union worker_packet p;
        size_t i;
        int r;

        worker_packet_init(&p, WORKER_LIBRARY, sizeof(p.library));
        if (v) {
                p.library.file = v->file;
                worker_packet_text(&p, v->text);
        } else {
                i = j->next - selector_count(&j->selector, SELECTOR_SHLIB);
                if (i >= j->n_others) {
                        j->libraries_then(j);
                        return;
                }
                other = &j->others[i];
                p.library.others = true;
                p.library.never = other->never;
                p.library.rule = other->rule;
                worker_packet_text(&p, other->pattern);
        }
        r = job_call(j, &p, -1, NULL, on_library_done);
        if (r < 0)
                on_library_done(j, r);
}

void job_libraries(struct job *j, void (*then)(struct job *j))
{
        j->next = 0;
        j->libraries_then = then;
        libraries_next(j);
}

void job_note_other_rules(const struct job *j, const struct rule_subject *s, struct worker_other_rules *ret)
{
        const struct conf *c = &j->manager->conf;
        const struct rule *own = j->rule ? conf_find_rule(c, j->rule->name) : NULL;

        for (size_t i = 0; i < c->n_rules; i++) {
                const struct rule *other = &c->rules[i];

                if (!may_decide(j, other) || !rule_match_process(other, s))
                        continue;
                ret->applies[i / 8] |= (uint8_t) (1U << i % 8);
                if (!own)
                        continue;
                if (other > own ? rule_decides_before(other, own, s) : !rule_decides_before(own, other, s))
                        ret->first[i / 8] |= (uint8_t) (1U << i % 8);
        }
}
