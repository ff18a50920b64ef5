/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account.h"
#include "lib/hash.h"
#include "shared/macro.h"

uint64_t account_share_next(struct account_share *s, uint64_t weight)
{
        uint64_t until = s->total, share;

        if (weight == 0)
                return 0;
        s->n_done = MIN(s->n_done + weight, s->n_all);
        if (s->n_done < s->n_all)
                until = (uint64_t) ((double) s->total * (double) s->n_done / (double) s->n_all);
        until = MIN(until, s->total);
        until = MAX(until, s->given);
        share = until - s->given;
        s->given = until;
        return share;
}

void account_figures_add(struct account_figures *sum, const struct account_figures *f)
{
        sum->n_present += f->n_present;
        sum->n_duplicates += f->n_duplicates;
        sum->n_zero += f->n_zero;
        sum->n_merged += f->n_merged;
        sum->n_merged_zero += f->n_merged_zero;
        sum->saved_bytes += f->saved_bytes;
        sum->saved_gross_bytes += f->saved_gross_bytes;
        sum->n_written += f->n_written;
        sum->cpu_nsec += f->cpu_nsec;
        sum->last_scan_usec = MAX(sum->last_scan_usec, f->last_scan_usec);
}

void account_figures_subtract(struct account_figures *sum, const struct account_figures *f)
{
        sum->n_present -= MIN(sum->n_present, f->n_present);
        sum->n_duplicates -= MIN(sum->n_duplicates, f->n_duplicates);
        sum->n_zero -= MIN(sum->n_zero, f->n_zero);
        sum->n_merged -= MIN(sum->n_merged, f->n_merged);
        sum->n_merged_zero -= MIN(sum->n_merged_zero, f->n_merged_zero);
        sum->saved_bytes -= MIN(sum->saved_bytes, f->saved_bytes);
        sum->saved_gross_bytes -= MIN(sum->saved_gross_bytes, f->saved_gross_bytes);
        sum->n_written -= MIN(sum->n_written, f->n_written);
        sum->cpu_nsec -= MIN(sum->cpu_nsec, f->cpu_nsec);
}

/* What the pages of one registry that a process has count for, part by part. The registry knows best how
 * many there are; the last count, where they are. */
struct pages {
        uint64_t n; /* in all */
        struct account_share merged, zero;
};

static struct pages pages_of(const struct account_process *p, const struct registry *r)
{
        const struct registered *g = registry_find(r, p->pid, p->start_ticks);
        struct pages pages = {};

        for (size_t i = 0; i < p->n_parts; i++) {
                pages.merged.n_all += p->parts[i].n_merged[r->kind];
                pages.zero.n_all += p->parts[i].n_merged_zero[r->kind];
        }
        pages.n = g ? g->merging_pages : 0;
        pages.merged.total = MIN(pages.merged.n_all, pages.n);
        pages.zero.total = MIN(pages.zero.n_all, pages.n);
        return pages;
}

struct summing {
        const struct registry *registries[2];
        struct account_share gross[2]; /* frames, by pages */
        struct account_share net;      /* bytes, by gross bytes */
};

static void add_merged(struct summing *s, struct account_figures *f, size_t kind, uint64_t merged)
{
        uint64_t gross = account_share_next(&s->gross[kind], merged) * MM_PAGE_SIZE;

        f->n_merged += merged;
        f->saved_gross_bytes += gross;
        f->saved_bytes += account_share_next(&s->net, gross);
}

static void add_to_rule(const struct account_part *part)
{
        struct account_figures f = part->figures;

        f.n_written -= part->n_written_before;
        f.cpu_nsec -= part->cpu_nsec_before;
        account_figures_add(&part->rule->sum, &f);
}

static void sum_process(struct summing *s, struct account_process *p)
{
        struct pages pages[2] = { pages_of(p, s->registries[0]), pages_of(p, s->registries[1]) };
        struct account_figures sum = {
                .n_written = p->elsewhere.n_written,
                .cpu_nsec = p->elsewhere.cpu_nsec,
                .last_scan_usec = p->figures.last_scan_usec,
        };

        for (size_t i = 0; i < p->n_parts; i++) {
                struct account_part *part = &p->parts[i];
                struct account_figures *f = &part->figures;

                f->n_merged = f->n_merged_zero = f->saved_bytes = f->saved_gross_bytes = 0;
                for (size_t k = 0; k < ELEMENTSOF(pages); k++) {
                        add_merged(s, f, k, account_share_next(&pages[k].merged, part->n_merged[k]));
                        f->n_merged_zero += account_share_next(&pages[k].zero, part->n_merged_zero[k]);
                }
                account_figures_add(&sum, f);
                if (part->rule)
                        add_to_rule(part);
        }
        p->unplaced = (struct account_figures) {};
        for (size_t k = 0; k < ELEMENTSOF(pages); k++)
                add_merged(s, &p->unplaced, k, pages[k].n - pages[k].merged.given);
        account_figures_add(&sum, &p->unplaced);
        if (p->rule)
                account_figures_add(&p->rule->sum, &p->unplaced);
        p->figures = sum;
}

void account_update(struct account *a, const struct registry *ksm, const struct registry *direct,
                    uint64_t cpu_nsec)
{
        struct summing s = { .registries = { ksm, direct } };
        struct account_figures sum = {}, total = { .cpu_nsec = cpu_nsec };
        uint64_t metadata = 0;

        for (size_t k = 0; k < ELEMENTSOF(s.registries); k++) {
                const struct registry *r = s.registries[k];

                s.gross[k] = (struct account_share) {
                        .total = registry_saved_frames(r), .n_all = registry_merged_pages(r)
                };
                total.n_merged += s.gross[k].n_all;
                total.saved_gross_bytes += s.gross[k].total * MM_PAGE_SIZE;
                total.n_written += r->n_broken;
                metadata += registry_metadata_bytes(r);
        }
        total.saved_bytes = total.saved_gross_bytes - MIN(total.saved_gross_bytes, metadata);
        s.net = (struct account_share) { .total = total.saved_bytes, .n_all = total.saved_gross_bytes };

        for (size_t i = 0; i < a->rules.n; i++)
                a->rules.items[i]->sum = a->rules.items[i]->past;
        for (size_t i = 0; i < a->n_processes; i++) {
                sum_process(&s, a->processes[i]);
                account_figures_add(&sum, &a->processes[i]->figures);
        }
        total.n_present = sum.n_present;
        total.n_duplicates = sum.n_duplicates;
        total.n_zero = sum.n_zero;
        total.n_merged_zero = sum.n_merged_zero;
        total.last_scan_usec = sum.last_scan_usec;
        a->total = total;
}

void account_rule_figures(const struct account *a, const char *rule, struct account_figures *ret)
{
        *ret = (struct account_figures) {};
        for (size_t i = 0; i < a->rules.n; i++)
                if (streq(a->rules.items[i]->name, rule))
                        *ret = a->rules.items[i]->sum;
}

void account_owners_clear(struct account *a)
{
        for (size_t i = 0; i < a->owners.n; i++) {
                a->owners.items[i]->sum = (struct account_figures) {};
                a->owners.items[i]->n_processes = 0;
        }
}

void account_owners_add(struct account_process *p)
{
        for (size_t i = 0; i < p->n_parts; i++) {
                account_figures_add(&p->parts[i].owner->sum, &p->parts[i].figures);
                p->parts[i].owner->n_processes++;
        }
}
