/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/worker-child.h"
#include "lib/ranges.h"

struct counting {
        struct worker_child *w;
        struct mm_survey *survey;
        const struct mm_range *library; /* that sum is of */
        struct mm_usage sum, rest;
};

static int send_usage(struct worker_child *w, const struct mm_range *library, const struct mm_usage *u)
{
        union worker_packet row;

        worker_packet_init(&row, WORKER_ROW_USAGE, sizeof(row.usage_row));
        row.usage_row.usage = *u;
        if (library)
                row.usage_row.file = library->file;
        worker_packet_text(&row, library ? library->name : "");
        return worker_child_send(w, &row);
}

/* What was counted for a library goes out; from now on it is for @library, or for none. */
static int change_library(struct counting *c, const struct mm_range *library)
{
        int r = 0;

        if (c->library && library && mm_file_id_equal(&c->library->file, &library->file))
                return 0;
        if (c->library)
                r = send_usage(c->w, c->library, &c->sum);
        c->library = library;
        c->sum = (struct mm_usage) {};
        return r;
}

static int on_seen(void *userdata, const struct mm_piece *piece, const struct mm_seen *seen, size_t n)
{
        struct counting *c = userdata;
        const struct mm_range *library = piece->range && piece->range->owner == MM_OWNER_LIBRARY
                                                 ? piece->range
                                                 : NULL;
        int r;

        r = change_library(c, library);
        if (r < 0)
                return r;
        mm_usage_count(library ? &c->sum : &c->rest, seen, n);
        c->w->n_pages = c->survey->n_pages;
        r = worker_child_tick(c->w);
        return r < 0 ? r : worker_child_slice_is_over(c->w);
}

int worker_child_send_looked(struct worker_child *w, const struct mm_survey *s, uint64_t next, bool matched,
                             bool full)
{
        union worker_packet row;

        worker_packet_init(&row, WORKER_ROW_LOOKED, sizeof(row.looked));
        row.looked.next = next;
        row.looked.n_pages = s->n_pages;
        row.looked.n_sparse = (uint32_t) s->n_too_sparse;
        row.looked.matched = matched;
        row.looked.full = full;
        return worker_child_send(w, &row);
}

int worker_child_usage(struct worker_child *w, const struct worker_usage *call, int dir_fd)
{
        _cleanup_(mm_elf_cache_freep) struct mm_elf_cache *cache = NULL;
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pagemap = NULL;
        _cleanup_(mm_ranges_done) struct mm_ranges l = {};
        _cleanup_(mm_ksm_areas_done) struct mm_ksm_areas ksm = {};
        struct mm_survey survey;
        struct counting c = { .w = w, .survey = &survey };
        int r = 0;

        worker_child_slice(w, call->slice_usec);
        if (call->by_library)
                r = mm_elf_cache_new(&cache);
        /* The memory before its map, as for a scan. */
        if (r >= 0)
                r = mm_pagemap_open(dir_fd, &pagemap);
        if (r >= 0)
                r = mm_ranges_read(cache, dir_fd, &call->exe, false, &l);
        if (r >= 0)
                r = mm_ksm_areas_read(&w->kpage, dir_fd, &ksm);
        if (r < 0)
                return r;
        survey = (struct mm_survey) {
                .pagemap = pagemap,
                .kpage = &w->kpage,
                .areas = &l.areas,
                .ranges = l.items,
                .n_ranges = l.n,
                .ksm = &ksm,
        };
        r = mm_survey_walk(&survey, call->from, UINT64_MAX, on_seen, &c);
        if (r >= 0)
                r = change_library(&c, NULL);
        if (r >= 0)
                r = send_usage(w, NULL, &c.rest);
        if (r < 0)
                return r;
        return worker_child_send_looked(w, &survey, survey.next == UINT64_MAX ? 0 : survey.next, true,
                                        false);
}
