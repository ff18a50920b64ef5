/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account.h"

/* The part that has memory at @address; what lies between two of its places is its own. */
static struct account_part *part_at(struct account_process *p, uint64_t address)
{
        size_t low = 0, high = p->n_places;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (p->places[middle].end <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low == p->n_places || p->places[low].start > address)
                return NULL;
        return &p->parts[p->places[low].part];
}

void account_count(struct account *a, pid_t pid, uint64_t start_ticks, const struct worker_range *ranges,
                   const struct worker_range_count *counts, size_t n)
{
        struct account_process *p = account_find(a, pid, start_ticks);

        for (size_t i = 0; p && i < n; i++) {
                struct account_part *part = part_at(p, ranges[i].start);

                if (!part)
                        continue;
                part->n_counted += counts[i].n_merged;
                part->n_counted_zero += counts[i].n_zero;
        }
}

/* Candidates that were merged meanwhile are so no more. */
static void take_off_duplicates(struct account_figures *f, uint64_t n)
{
        f->n_duplicates -= MIN(f->n_duplicates, n);
        f->n_zero = MIN(f->n_zero, f->n_duplicates);
}

/* Takes over a part's count; pages lost are charged to it while @n_written lasts. */
static void settle_part(struct account_part *part, enum registry_kind kind, uint64_t *zero_pages,
                        uint64_t *n_written)
{
        uint32_t before = part->n_merged[kind], now = part->n_counted, zero = part->n_counted_zero;
        uint64_t lost;

        /* Most zero pages are untouched memory that was read once: KSM has made only some. */
        if (kind == REGISTRY_KSM) {
                zero = (uint32_t) MIN((uint64_t) zero, *zero_pages);
                *zero_pages -= zero;
                now += zero;
        }
        part->n_merged[kind] = now;
        part->n_merged_zero[kind] = zero;
        part->n_counted = part->n_counted_zero = 0;
        if (now > before)
                take_off_duplicates(&part->figures, now - before);
        lost = MIN(before > now ? (uint64_t) (before - now) : 0, *n_written);
        part->figures.n_written += lost;
        *n_written -= lost;
}

void account_counted(struct account *a, enum registry_kind kind, pid_t pid, uint64_t start_ticks,
                     uint64_t zero_pages, uint64_t n_written)
{
        struct account_process *p = account_find(a, pid, start_ticks);

        if (!p)
                return;
        for (size_t i = 0; i < p->n_parts; i++)
                settle_part(&p->parts[i], kind, &zero_pages, &n_written);
        p->elsewhere.n_written += n_written;
        if (p->rule)
                p->rule->past.n_written += n_written;
}
