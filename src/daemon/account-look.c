/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account.h"
#include "shared/lookup.h"

static struct account_process *add_process(struct account *a, pid_t pid, uint64_t start_ticks)
{
        struct account_process **processes, *p;
        size_t i;

        if (a->n_processes >= ACCOUNT_PROCESSES_MAX)
                return NULL;
        processes = array_grow(a->processes, a->n_processes, sizeof(*processes));
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

static void forget_duplicates(struct account_figures *f)
{
        f->n_present = f->n_duplicates = f->n_zero = 0;
}

/* What this look brings up to date. Looks for several rules at one process take turns, each at its own. */
static bool is_looked_at(const struct account *a, const struct account_look *look,
                         const struct account_part *part)
{
        if (look->rule)
                return part->rule ? part->rule == a->look_rule : look->whole;
        return look->whole;
}

/* Places of parts that were moved by @places, or dropped where it says so. */
#define NOWHERE UINT32_MAX

static void move_places(struct account *a, struct account_process *p, const uint32_t *moved)
{
        size_t n = 0;

        for (size_t i = 0; i < p->n_places; i++) {
                uint32_t part = moved ? moved[p->places[i].part] : NOWHERE;

                if (part == NOWHERE)
                        continue;
                p->places[n] = p->places[i];
                p->places[n++].part = part;
        }
        a->n_places -= p->n_places - n;
        p->n_places = n;
}

/* What the last such look has found, and parts that even it did not find again. */
static void forget_found(struct account *a, struct account_process *p, const struct account_look *look)
{
        _cleanup_(freep) uint32_t *moved = calloc(MAX(p->n_parts, (size_t) 1), sizeof(*moved));
        size_t n = 0;

        for (size_t i = 0; i < p->n_parts; i++) {
                struct account_part *part = &p->parts[i];
                bool looked_at = is_looked_at(a, look, part);

                if (looked_at && part->figures.n_present + part->n_merged[0] + part->n_merged[1] == 0) {
                        account_part_set_rule(part, NULL);
                        account_figures_add(&p->elsewhere, &part->figures);
                        part->owner->n_users--;
                        if (moved)
                                moved[i] = NOWHERE;
                        continue;
                }
                if (looked_at)
                        forget_duplicates(&part->figures);
                if (moved)
                        moved[i] = looked_at ? NOWHERE : (uint32_t) n;
                p->parts[n++] = *part;
        }
        a->n_parts -= p->n_parts - n;
        p->n_parts = n;
        move_places(a, p, moved);
}

void account_look_begin(struct account *a)
{
        a->look++;
        a->look_rule = NULL;
}

struct account_process *account_look_at(struct account *a, const struct account_look *look)
{
        static const struct mm_file_id none = {};
        struct account_process *p = account_find(a, look->pid, look->start_ticks);

        p = p ?: add_process(a, look->pid, look->start_ticks);
        if (!p)
                return NULL;
        p->seen = a->clock;
        if (p->look == a->look)
                return p;
        p->look = a->look;
        p->figures.last_scan_usec = look->now_usec;
        if (look->rule && !a->look_rule)
                a->look_rule = account_line(&a->rules, 0, &none, look->rule);
        if (look->rule && look->whole)
                p->rule = a->look_rule;
        /* A look at some owners' memory says nothing about the rest. */
        if (look->rule || look->whole)
                forget_found(a, p, look);
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
        if (a->look_rule)
                account_part_set_rule(part, a->look_rule);
        if (part->look != a->look) {
                part->look = a->look;
                forget_duplicates(&part->figures);
        }
        if (first)
                part->figures.n_present += found->n_pages;
        part->figures.n_duplicates += found->n_duplicates;
        part->figures.n_zero += found->n_zero;
        part->figures.last_scan_usec = p->figures.last_scan_usec;
}

/* Room in [@start, @end) among the places: what is known of it is out of date. The index for a new place. */
static size_t clear_place(struct account *a, struct account_process *p, uint64_t start, uint64_t end)
{
        size_t first = p->n_places, last;

        while (first > 0 && p->places[first - 1].end > start)
                first--;
        if (first < p->n_places && p->places[first].start < start)
                p->places[first++].end = start;
        for (last = first; last < p->n_places && p->places[last].end <= end;)
                last++;
        if (last < p->n_places && p->places[last].start < end)
                p->places[last].start = end;
        memmove(p->places + first, p->places + last, (p->n_places - last) * sizeof(*p->places));
        p->n_places -= last - first;
        a->n_places -= last - first;
        return first;
}

void account_add_place(struct account *a, struct account_process *p, const struct account_line *owner,
                       uint64_t start, uint64_t end)
{
        const struct account_part *part = find_part(p, owner);
        struct account_place *places;
        size_t i;

        if (!part || start >= end)
                return;
        i = p->n_places > 0 ? clear_place(a, p, start, end) : 0;
        if (a->n_places >= ACCOUNT_PLACES_MAX)
                return;
        places = array_grow(p->places, p->n_places, sizeof(*places));
        if (!places)
                return;
        p->places = places;
        memmove(places + i + 1, places + i, (p->n_places - i) * sizeof(*places));
        a->n_places++;
        p->n_places++;
        places[i] = (struct account_place) {
                .start = start, .end = end, .part = (uint32_t) (part - p->parts)
        };
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
                        uint64_t spent;

                        if (part->look != a->look)
                                continue;
                        spent = account_share_next(&share, part->figures.n_present);
                        part->figures.cpu_nsec += spent;
                        /* What somebody asks for is not charged to the rule. */
                        if (!a->look_rule)
                                part->cpu_nsec_before += spent;
                }
        account_look_begin(a);
}
