/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/worker-child.h"
#include "lib/ranges.h"

/* Which frames of one process others map: first those are noted that are mapped more than once, then each
 * other process is looked through for them. */

struct share_look {
        struct worker_child *w;
        const struct worker_share *call;
        struct mm_survey *survey;
        uint64_t next; /* of what was noted */
        bool full;
        struct mm_shared_run run;
        union worker_packet row;
};

static int tick(struct share_look *s)
{
        int r;

        s->w->n_pages = s->survey->n_pages;
        r = worker_child_tick(s->w);
        return r < 0 ? r : worker_child_slice_is_over(s->w);
}

static int note(void *userdata, const struct mm_piece *piece, const struct mm_seen *seen, size_t n)
{
        struct share_look *s = userdata;
        int r;

        r = mm_sharing_add(&s->w->sharing.frames, seen, n);
        if (r == -ENOBUFS) {
                s->full = true;
                return 1;
        }
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (!mm_seen_is_shared(&seen[i]))
                        continue;
                s->row.shared.n_pages[seen[i].kind]++;
                s->row.shared.n_mappings += seen[i].count;
        }
        s->next = s->survey->next;
        return tick(s);
}

static void end_run(struct share_look *s)
{
        struct worker_shared *shared = &s->row.shared;

        if (s->run.n_pages == 0)
                return;
        shared->n_runs++;
        if (shared->n < WORKER_SHARED_RUNS_MAX)
                shared->runs[shared->n++] = s->run;
        s->run = (struct mm_shared_run) {};
}

static int compare(void *userdata, const struct mm_piece *piece, const struct mm_seen *seen, size_t n)
{
        struct share_look *s = userdata;

        for (size_t i = 0; i < n; i++) {
                const struct mm_page *page = &seen[i].page;
                enum mm_page_kind kind;
                uint64_t here;

                if (!(page->flags & MM_PAGE_PRESENT) || (page->flags & MM_PAGE_EXCLUSIVE) ||
                    !mm_sharing_find(&s->w->sharing.frames, page->frame, &here, &kind) ||
                    (s->call->self && page->address == here))
                        continue;
                s->row.shared.n_pages[kind]++;
                if (mm_shared_run_join(&s->run, here, page->address, page->frame, kind))
                        continue;
                end_run(s);
                s->run = (struct mm_shared_run) {
                        .here = here,
                        .there = page->address,
                        .n_pages = 1,
                        .frame = page->frame,
                        .kind = kind,
                };
        }
        s->next = s->survey->next;
        return tick(s);
}

/* Looks at the process with @each, and sends what is in the row then. */
static int look(struct share_look *s, const struct mm_kpage *kpage, mm_survey_cb each, int dir_fd)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pagemap = NULL;
        _cleanup_(mm_ranges_done) struct mm_ranges l = {};
        _cleanup_(mm_ksm_areas_done) struct mm_ksm_areas ksm = {};
        struct mm_survey survey;
        int r, k;

        worker_child_slice(s->w, s->call->slice_usec);
        r = mm_pagemap_open(dir_fd, &pagemap);
        if (r >= 0)
                r = mm_ranges_read(NULL, dir_fd, NULL, false, &l);
        if (r >= 0 && kpage)
                r = mm_ksm_areas_read(kpage, dir_fd, &ksm);
        if (r < 0)
                return r;
        survey = (struct mm_survey) { .pagemap = pagemap, .kpage = kpage, .areas = &l.areas, .ksm = &ksm };
        s->survey = &survey;
        s->next = s->call->from;
        worker_packet_init(&s->row, WORKER_ROW_SHARED, sizeof(s->row.shared));
        r = mm_survey_walk(&survey, s->call->from, s->call->to, each, s);
        if (r < 0)
                return r;
        end_run(s);
        s->row.header.size += (uint32_t) (s->row.shared.n * sizeof(struct mm_shared_run));
        k = worker_child_send(s->w, &s->row);
        if (k < 0)
                return k;
        return worker_child_send_looked(s->w, &survey, r > 0 ? s->next : 0, true, s->full);
}

int worker_child_share(struct worker_child *w, const struct worker_share *call, int dir_fd)
{
        struct share_look s = { .w = w, .call = call };

        if (call->begins) {
                mm_sharing_done(&w->sharing.frames);
                w->sharing.id = call->id;
                w->sharing.sorted = false;
        }
        if (w->sharing.id != call->id || w->sharing.sorted)
                return -ESTALE;
        return look(&s, &w->kpage, note, dir_fd);
}

int worker_child_share_with(struct worker_child *w, const struct worker_share *call, int dir_fd)
{
        struct share_look s = { .w = w, .call = call };

        if (w->sharing.id != call->id)
                return -ESTALE;
        if (!w->sharing.sorted)
                mm_sharing_sort(&w->sharing.frames);
        w->sharing.sorted = true;
        return look(&s, NULL, compare, dir_fd);
}
