/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/worker-child.h"

int round_send_group(struct worker_child *w, const struct mm_group *g, size_t saving)
{
        union worker_packet row;

        worker_packet_init(&row, WORKER_ROW_GROUP, sizeof(row.group));
        row.group.index = g->records[0].target;
        row.group.n_pages = (uint32_t) g->n_pages;
        row.group.n_frames = (uint32_t) g->n_frames;
        row.group.n_duplicates = (uint32_t) saving;
        row.group.address = (uint64_t) g->records[0].page * MM_PAGE_SIZE;
        row.group.zero = g->zero;
        return worker_child_send(w, &row);
}

/* What was found in ranges is summed up here: for owners, and for each process by owner. */
static void sum_owners(struct round *r)
{
        for (size_t i = 0; i < r->n_owners; i++)
                r->owners[i].n_duplicates = r->owners[i].n_zero = 0;
        for (size_t i = 0; i < r->n_targets; i++)
                for (size_t k = 0; k < r->targets[i].n_ranges; k++) {
                        const struct round_range *range = &r->targets[i].ranges[k];

                        r->owners[range->owner].n_duplicates += range->n_duplicates;
                        r->owners[range->owner].n_zero += range->n_zero;
                }
}

int round_send_owners(struct worker_child *w)
{
        sum_owners(&w->round);
        for (size_t i = 0; i < w->round.n_owners; i++) {
                const struct round_owner *o = &w->round.owners[i];
                union worker_packet row;
                int r;

                if (o->n_pages == 0)
                        continue;
                worker_packet_init(&row, WORKER_ROW_OWNER, sizeof(row.owner));
                row.owner.kind = o->kind;
                row.owner.index = (uint32_t) i;
                row.owner.file = o->file;
                row.owner.n_pages = o->n_pages;
                row.owner.n_duplicates = o->n_duplicates;
                row.owner.n_zero = o->n_zero;
                worker_packet_text(&row, o->name);
                r = worker_child_send(w, &row);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int flush_parts(struct worker_child *w, const struct round_target *t, union worker_packet *row)
{
        int r = 0;

        if (row->parts.n > 0) {
                row->header.size = (uint32_t) (sizeof(row->parts) +
                                               row->parts.n * sizeof(struct worker_part));
                r = worker_child_send(w, row);
        }
        worker_packet_init(row, WORKER_ROW_PARTS, sizeof(row->parts));
        row->parts.index = t->index;
        return r;
}

/* @sums: one for each owner, all zero, and again so afterwards. */
static int send_target_parts(struct worker_child *w, const struct round_target *t, struct worker_part *sums)
{
        union worker_packet row = {};
        int r;

        for (size_t i = 0; i < t->n_ranges; i++) {
                struct worker_part *sum = &sums[t->ranges[i].owner];

                sum->n_pages += t->ranges[i].n_pages;
                sum->n_duplicates += t->ranges[i].n_duplicates;
                sum->n_zero += t->ranges[i].n_zero;
        }
        r = flush_parts(w, t, &row);
        for (size_t i = 0; i < t->n_ranges; i++) {
                struct worker_part *sum = &sums[t->ranges[i].owner];

                if (sum->n_pages == 0)
                        continue;
                sum->owner = t->ranges[i].owner;
                row.parts.parts[row.parts.n++] = *sum;
                *sum = (struct worker_part) {};
                if (row.parts.n == WORKER_PARTS_MAX && r >= 0)
                        r = flush_parts(w, t, &row);
        }
        return r < 0 ? r : flush_parts(w, t, &row);
}

static int flush_places(struct worker_child *w, const struct round_target *t, union worker_packet *row)
{
        int r = 0;

        if (row->places.n > 0) {
                row->header.size = (uint32_t) (sizeof(row->places) +
                                               row->places.n * sizeof(struct worker_place));
                r = worker_child_send(w, row);
        }
        worker_packet_init(row, WORKER_ROW_PLACES, sizeof(row->places));
        row->places.index = t->index;
        return r;
}

static int send_target_places(struct worker_child *w, const struct round_target *t)
{
        union worker_packet row = {};
        struct worker_place *last = NULL;
        int r;

        r = flush_places(w, t, &row);
        for (size_t i = 0; i < t->n_ranges && r >= 0; i++) {
                const struct round_range *range = &t->ranges[i];

                if (last && last->owner == range->owner && !range->apart) {
                        last->end = range->end;
                        continue;
                }
                if (row.places.n == WORKER_PARTS_MAX)
                        r = flush_places(w, t, &row);
                last = &row.places.places[row.places.n++];
                *last = (struct worker_place) {
                        .start = range->start, .end = range->end, .owner = range->owner
                };
        }
        return r < 0 ? r : flush_places(w, t, &row);
}

int round_send_parts(struct worker_child *w)
{
        _cleanup_(freep) struct worker_part *sums = NULL;
        int r = 0;

        sums = calloc(MAX(w->round.n_owners, (size_t) 1), sizeof(*sums));
        if (!sums)
                return -ENOMEM;
        for (size_t i = 0; i < w->round.n_targets && r >= 0; i++) {
                r = send_target_parts(w, &w->round.targets[i], sums);
                if (r >= 0)
                        r = send_target_places(w, &w->round.targets[i]);
                if (r >= 0)
                        r = worker_child_tick(w);
        }
        return r;
}
