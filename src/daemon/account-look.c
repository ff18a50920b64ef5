/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account.h"

static struct account_process *add_process(struct account *a, pid_t pid, uint64_t start_ticks)
{
        struct account_process **processes, *p;
        size_t i;

        if (a->n_processes >= ACCOUNT_PROCESSES_MAX)
                return NULL;
        processes = reallocarray(a->processes, a->n_processes + 1, sizeof(*processes));
        if (!processes)
                return NULL;
        a->processes = processes;
        p = malloc(sizeof(*p));
        if (!p)
                return NULL;
        *p = (struct account_process) { .pid = pid, .start_ticks = start_ticks };
        for (i = a->n_processes++; i > 0; i--) {
                const struct account_process *before = processes[i - 1];

                if (before->pid < pid || (before->pid == pid && before->start_ticks < start_ticks))
                        break;
                processes[i] = processes[i - 1];
        }
        return processes[i] = p;
}

static void set_rule(struct account *a, struct account_process *p, const char *name)
{
        static const struct mm_file_id none = {};

        if (p->rule && streq(p->rule->name, name))
                return;
        if (p->rule)
                p->rule->n_users--;
        p->rule = account_line(&a->rules, 0, &none, name);
        if (p->rule)
                p->rule->n_users++;
}

static void forget_candidates(struct account_figures *f)
{
        f->n_present = f->n_candidates = f->n_candidate_zero = 0;
}

/* What the last look has found, and parts that even it did not find again. */
static void forget_found(struct account *a, struct account_process *p)
{
        size_t n = 0;

        for (size_t i = 0; i < p->n_parts; i++) {
                struct account_part *part = &p->parts[i];

                if (part->figures.n_present + part->n_merged[0] + part->n_merged[1] == 0) {
                        account_figures_add(&p->elsewhere, &part->figures);
                        part->owner->n_users--;
                        continue;
                }
                forget_candidates(&part->figures);
                p->parts[n++] = *part;
        }
        a->n_parts -= p->n_parts - n;
        p->n_parts = n;
        a->n_places -= p->n_places;
        p->n_places = 0;
}

void account_look_begin(struct account *a)
{
        a->look++;
}

struct account_process *account_look_at(struct account *a, const struct account_look *look)
{
        struct account_process *p = account_find(a, look->pid, look->start_ticks);

        p = p ?: add_process(a, look->pid, look->start_ticks);
        if (!p)
                return NULL;
        p->seen = a->clock;
        if (p->look == a->look)
                return p;
        p->look = a->look;
        p->figures.last_scan_usec = look->now_usec;
        if (look->rule)
                set_rule(a, p, look->rule);
        /* A look at some owners' memory says nothing about the rest. */
        if (look->whole)
                forget_found(a, p);
        return p;
}

static struct account_part *find_part(const struct account_process *p, const struct account_line *owner)
{
        for (size_t i = 0; i < p->n_parts; i++)
                if (p->parts[i].owner == owner)
                        return &p->parts[i];
        return NULL;
}

static struct account_part *add_part(struct account *a, struct account_process *p,
                                     struct account_line *owner)
{
        struct account_part *parts;

        if (a->n_parts >= ACCOUNT_PARTS_MAX)
                return NULL;
        parts = reallocarray(p->parts, p->n_parts + 1, sizeof(*parts));
        if (!parts)
                return NULL;
        p->parts = parts;
        a->n_parts++;
        owner->n_users++;
        parts[p->n_parts] = (struct account_part) { .owner = owner };
        return &parts[p->n_parts++];
}

void account_add_part(struct account *a, struct account_process *p, struct account_line *owner,
                      const struct worker_part *found, bool first)
{
        struct account_part *part = find_part(p, owner) ?: add_part(a, p, owner);

        if (!part)
                return;
        if (part->look != a->look) {
                part->look = a->look;
                forget_candidates(&part->figures);
        }
        if (first)
                part->figures.n_present += found->n_pages;
        part->figures.n_candidates += found->n_duplicates;
        part->figures.n_candidate_zero += found->n_zero;
        part->figures.last_scan_usec = p->figures.last_scan_usec;
}

void account_add_place(struct account *a, struct account_process *p, const struct account_line *owner,
                       uint64_t start, uint64_t end)
{
        struct account_place *places, *last = p->n_places > 0 ? &p->places[p->n_places - 1] : NULL;
        const struct account_part *part = find_part(p, owner);

        /* A look at some owners only comes by again where places are known. */
        if (!part || a->n_places >= ACCOUNT_PLACES_MAX || (last && start < last->end))
                return;
        places = reallocarray(p->places, p->n_places + 1, sizeof(*places));
        if (!places)
                return;
        p->places = places;
        a->n_places++;
        places[p->n_places++] =
                (struct account_place) { .start = start, .end = end, .part = (uint32_t) (part - p->parts) };
}

void account_spend(struct account *a, uint64_t cpu_nsec)
{
        struct account_share share = { .total = cpu_nsec };

        for (size_t i = 0; i < a->n_processes; i++)
                for (size_t k = 0; k < a->processes[i]->n_parts; k++)
                        if (a->processes[i]->parts[k].look == a->look)
                                share.n_all += a->processes[i]->parts[k].figures.n_present;
        for (size_t i = 0; i < a->n_processes; i++)
                for (size_t k = 0; k < a->processes[i]->n_parts; k++) {
                        struct account_part *part = &a->processes[i]->parts[k];

                        if (part->look != a->look)
                                continue;
                        part->figures.cpu_nsec += account_share_next(&share, part->figures.n_present);
                }
        a->look++;
}
