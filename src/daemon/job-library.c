/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"

/* Which libraries' memory a round is about. A turn of a rule leaves to others what they decide about: how
 * well their patterns match is known where the libraries are, in the worker; the rest, here. */

static void libraries_next(struct job *j);

const struct selector_value *job_library_at(const struct job *j, size_t index)
{
        for (size_t i = 0; i < j->selector.n_values; i++)
                if (j->selector.values[i].kind == SELECTOR_SHLIB && index-- == 0)
                        return &j->selector.values[i];
        return NULL;
}

/* The pattern that is @index-th among those of other rules with Shlib=. */
static const char *other_at(const struct job *j, size_t index, size_t *ret_rule)
{
        const struct conf *c = &j->manager->conf;

        for (size_t i = 0; i < c->n_rules && j->rule; i++) {
                const struct rule_patterns *libraries = &c->rules[i].match[RULE_SHLIB];

                if (streq(c->rules[i].name, j->rule->name))
                        continue;
                if (index < libraries->n) {
                        *ret_rule = i;
                        return libraries->items[index];
                }
                index -= libraries->n;
        }
        return NULL;
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
        union worker_packet p;
        const char *other;
        size_t rule = 0;
        int r;

        worker_packet_init(&p, WORKER_LIBRARY, sizeof(p.library));
        if (v) {
                p.library.file = v->file;
                worker_packet_text(&p, v->text);
        } else {
                other = other_at(j, j->next - selector_count(&j->selector, SELECTOR_SHLIB), &rule);
                if (!other) {
                        j->libraries_then(j);
                        return;
                }
                p.library.others = true;
                p.library.never = j->manager->conf.rules[rule].merge == RULE_MERGE_NEVER;
                p.library.rule = (uint32_t) rule;
                worker_packet_text(&p, other);
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

void job_note_other_rules(struct job *j, const struct rule_subject *s, struct job_target *t)
{
        const struct conf *c = &j->manager->conf;
        const struct rule *own = conf_find_rule(c, j->rule->name);

        for (size_t i = 0; i < c->n_rules; i++) {
                const struct rule *other = &c->rules[i];

                if (other == own || !rule_has(other, RULE_SHLIB) || !rule_match_process(other, s))
                        continue;
                t->other_rules.applies[i / 8] |= (uint8_t) (1U << i % 8);
                if (other > own ? rule_decides_before(other, own, s) : !rule_decides_before(own, other, s))
                        t->other_rules.first[i / 8] |= (uint8_t) (1U << i % 8);
        }
}
