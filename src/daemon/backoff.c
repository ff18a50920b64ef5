/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/backoff.h"

#define ENTRIES_MIN 64U

void backoff_done(struct backoff *b)
{
        free(b->entries);
        *b = (struct backoff) {};
}

/* Pids come one after the other: a multiplication spreads them (Knuth's, by the golden ratio). */
static size_t place_of(pid_t pid, uint64_t start_ticks, size_t n_allocated)
{
        uint64_t mixed = ((uint64_t) pid ^ start_ticks << 22) * UINT64_C(0x9e3779b97f4a7c15);

        return (size_t) (mixed >> 32) & (n_allocated - 1U);
}

/* The entry of a process, or the free one that it would get. There is always a free one. */
static struct backoff_entry *slot_of(const struct backoff *b, pid_t pid, uint64_t start_ticks)
{
        for (size_t i = place_of(pid, start_ticks, b->n_allocated);; i = (i + 1) & (b->n_allocated - 1U)) {
                struct backoff_entry *e = &b->entries[i];

                if (e->pid == 0 || (e->pid == pid && e->start_ticks == start_ticks))
                        return e;
        }
}

static struct backoff_entry *find(const struct backoff *b, const struct backoff_process *p)
{
        struct backoff_entry *e;

        if (b->n_allocated == 0)
                return NULL;
        e = slot_of(b, p->pid, p->start_ticks);
        return e->pid != 0 ? e : NULL;
}

/* Moves what there is, or with @seen_only what of it was seen, to a table of another size. */
static int rebuild(struct backoff *b, size_t n_allocated, bool seen_only)
{
        struct backoff fresh = { .n_allocated = n_allocated };

        fresh.entries = calloc(n_allocated, sizeof(*fresh.entries));
        if (!fresh.entries)
                return -ENOMEM;
        for (size_t i = 0; i < b->n_allocated; i++) {
                const struct backoff_entry *e = &b->entries[i];

                if (e->pid == 0 || (seen_only && !e->seen))
                        continue;
                *slot_of(&fresh, e->pid, e->start_ticks) = *e;
                fresh.n++;
        }
        free(b->entries);
        *b = fresh;
        return 0;
}

/* At most half of the table is in use, so that places are found soon. */
static int make_room(struct backoff *b)
{
        if (b->n >= BACKOFF_ENTRIES_MAX / 2U)
                return -ENOBUFS;
        if ((b->n + 1U) * 2U <= b->n_allocated)
                return 0;
        return rebuild(b, MAX(b->n_allocated * 2U, (size_t) ENTRIES_MIN), false);
}

static bool has_changed(const struct backoff_entry *e, const struct backoff_process *p)
{
        uint64_t difference = p->size_bytes > e->size_bytes ? p->size_bytes - e->size_bytes
                                                            : e->size_bytes - p->size_bytes;

        return difference > e->size_bytes / 8U || e->family != p->family;
}

bool backoff_due(struct backoff *b, const struct backoff_process *p, uint64_t round)
{
        struct backoff_entry *e = find(b, p);

        if (!e)
                return true;
        e->seen = true;
        if (has_changed(e, p)) {
                e->level = 0;
                return true;
        }
        return round >= e->next_round;
}

bool backoff_knows(const struct backoff *b, const struct backoff_process *p)
{
        return find(b, p) != NULL;
}

int backoff_looked(struct backoff *b, const struct backoff_process *p, uint64_t round, bool gained)
{
        struct backoff_entry *e = find(b, p);
        int r;

        if (!e) {
                r = make_room(b);
                if (r < 0)
                        return r;
                e = slot_of(b, p->pid, p->start_ticks);
                *e = (struct backoff_entry) { .pid = p->pid, .start_ticks = p->start_ticks };
                b->n++;
        }
        e->seen = true;
        e->family = p->family;
        e->group = p->group;
        e->size_bytes = p->size_bytes;
        e->level = gained ? 0 : (uint8_t) MIN(e->level + 1U, BACKOFF_LEVEL_MAX);
        e->next_round = ((round >> e->level) + 1U) << e->level;
        return 0;
}

static int compare(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

static bool is_among(const uint64_t *sorted, size_t n, uint64_t value)
{
        return bsearch(&value, sorted, n, sizeof(value), compare) != NULL;
}

int backoff_wake(struct backoff *b, const struct backoff_process *newcomers, size_t n, uint64_t round)
{
        _cleanup_(freep) uint64_t *families = NULL, *groups = NULL;

        if (n == 0)
                return 0;
        families = calloc(n, sizeof(*families));
        groups = calloc(n, sizeof(*groups));
        if (!families || !groups)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                families[i] = newcomers[i].family;
                groups[i] = newcomers[i].group;
        }
        qsort(families, n, sizeof(*families), compare);
        qsort(groups, n, sizeof(*groups), compare);
        for (size_t i = 0; i < b->n_allocated; i++) {
                struct backoff_entry *e = &b->entries[i];

                if (e->pid != 0 && (is_among(families, n, e->family) ||
                                    (e->group != 0 && is_among(groups, n, e->group))))
                        e->next_round = MIN(e->next_round, round);
        }
        return 0;
}

void backoff_sweep(struct backoff *b)
{
        if (b->n_allocated == 0 || rebuild(b, b->n_allocated, true) < 0)
                return;
        for (size_t i = 0; i < b->n_allocated; i++)
                b->entries[i].seen = false;
}
