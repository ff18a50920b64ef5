/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/worker-child.h"
#include "lib/ranges.h"

struct listing_pages {
        struct worker_child *w;
        struct mm_survey *survey;
        struct mm_run_filter filter;
        const char *owner;      /* "": everybody */
        struct mm_file_id file; /* that the owner is, if it is given by path */
        uint64_t n_left;        /* runs there is room for, with the one at hand */
        uint64_t bytes_left;
        uint64_t next;          /* there was no room for the page there */
        struct mm_run run;      /* at hand; of no pages if there is none */
        union worker_packet row; /* of the piece at hand */
};

static const char *name_of(const struct mm_piece *piece)
{
        return piece->range ? piece->range->name : piece->area->name;
}

static enum mm_owner_kind kind_of(const struct mm_piece *piece)
{
        return piece->range ? piece->range->owner : MM_OWNER_NONE;
}

static const struct mm_file_id *file_of(const struct mm_piece *piece)
{
        return piece->range && mm_file_id_known(&piece->range->file) ? &piece->range->file
                                                                     : &piece->area->file;
}

static bool is_wanted(const struct listing_pages *l, const struct mm_piece *piece)
{
        const char *name = name_of(piece);

        if (!*l->owner || streq(l->owner, mm_owner_kind_name(kind_of(piece))) || streq(l->owner, name))
                return true;
        if (*l->owner == '/')
                return mm_file_id_known(&l->file) && mm_file_id_equal(&l->file, file_of(piece));
        return mm_file_id_known(file_of(piece)) && mm_library_name_match(l->owner, name);
}

static int flush(struct listing_pages *l, const struct mm_piece *piece)
{
        struct worker_runs *runs = &l->row.runs;
        int r = 0;

        if (runs->n > 0) {
                runs->header.size = (uint32_t) (sizeof(*runs) + runs->n * sizeof(runs->runs[0]));
                worker_packet_text(&l->row, name_of(piece));
                r = worker_child_send(l->w, &l->row);
        }
        worker_packet_init(&l->row, WORKER_ROW_RUNS, sizeof(*runs));
        runs->kind = kind_of(piece);
        return r;
}

/* In an answer; what is no text takes four times as much there. */
static uint64_t run_bytes(const struct mm_piece *piece)
{
        return sizeof(struct mm_run) + 4 * strlen(name_of(piece));
}

static int end_run(struct listing_pages *l, const struct mm_piece *piece)
{
        if (l->run.n_pages == 0)
                return 0;
        l->row.runs.runs[l->row.runs.n++] = l->run;
        l->run = (struct mm_run) {};
        l->n_left--;
        l->bytes_left -= MIN(l->bytes_left, run_bytes(piece));
        return l->row.runs.n == WORKER_RUNS_MAX ? flush(l, piece) : 0;
}

static int on_seen(void *userdata, const struct mm_piece *piece, const struct mm_seen *seen, size_t n)
{
        struct listing_pages *l = userdata;
        struct mm_run run;
        int r;

        for (size_t i = 0; i < n; i++) {
                if (!mm_run_of(&l->filter, &seen[i], &run) || mm_run_join(&l->run, &run))
                        continue;
                r = end_run(l, piece);
                if (r < 0)
                        return r;
                if (l->n_left == 0 || l->bytes_left == 0) {
                        l->next = run.address;
                        return 1;
                }
                l->run = run;
        }
        l->w->n_pages = l->survey->n_pages;
        r = worker_child_tick(l->w);
        if (r < 0)
                return r;
        l->next = l->survey->next;
        return worker_child_slice_is_over(l->w);
}

/* 1: there is more, from @l->next on. */
static int list_piece(struct listing_pages *l, const struct mm_piece *piece, uint64_t to)
{
        int r, k;

        r = flush(l, piece);
        if (r < 0)
                return r;
        r = mm_survey_walk(l->survey, piece->start, MIN(piece->end, to), on_seen, l);
        if (r < 0)
                return r;
        k = end_run(l, piece);
        if (k >= 0)
                k = flush(l, piece);
        return k < 0 ? k : r;
}

static int list_pieces(struct listing_pages *l, const struct worker_pages *call, bool *ret_matched)
{
        struct mm_piece piece;
        int r = 0;

        /* Whether there is such an owner is told also where it has no pages, or nothing in this slice. */
        *ret_matched = false;
        for (uint64_t at = 0; !*ret_matched && mm_survey_piece(l->survey, at, &piece); at = piece.end)
                *ret_matched = is_wanted(l, &piece);

        for (uint64_t at = call->from; r == 0 && at < call->to && mm_survey_piece(l->survey, at, &piece);
             at = piece.end)
                if (piece.start < call->to && is_wanted(l, &piece))
                        r = list_piece(l, &piece, call->to);
        return r;
}

int worker_child_pages(struct worker_child *w, const struct worker_pages *call, const char *owner,
                       int dir_fd)
{
        _cleanup_(mm_elf_cache_freep) struct mm_elf_cache *cache = NULL;
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pagemap = NULL;
        _cleanup_(mm_ranges_done) struct mm_ranges look = {};
        _cleanup_(mm_ksm_areas_done) struct mm_ksm_areas ksm = {};
        struct mm_survey survey;
        struct listing_pages l;
        bool matched;
        int r;

        if (call->n_filters > ELEMENTSOF(call->filters) || call->max_runs == 0 ||
            call->max_bytes == 0)
                return -EBADMSG;
        worker_child_slice(w, call->slice_usec);
        r = mm_elf_cache_new(&cache);
        if (r >= 0)
                r = mm_pagemap_open(dir_fd, &pagemap);
        if (r >= 0)
                r = mm_ranges_read(cache, dir_fd, &call->exe, false, &look);
        if (r >= 0 && !call->reduced)
                r = mm_ksm_areas_read(&w->kpage, dir_fd, &ksm);
        if (r < 0)
                return r;
        survey = (struct mm_survey) {
                .pagemap = pagemap,
                .kpage = call->reduced ? NULL : &w->kpage,
                .areas = &look.areas,
                .ranges = look.items,
                .n_ranges = look.n,
                .ksm = &ksm,
        };
        l.w = w;
        l.survey = &survey;
        l.filter = (struct mm_run_filter) {
                .flags = call->filters, .n_flags = call->n_filters, .reduced = call->reduced
        };
        l.owner = owner;
        l.file = call->file;
        l.n_left = call->max_runs;
        l.bytes_left = call->max_bytes;
        l.next = 0;
        l.run = (struct mm_run) {};
        worker_packet_init(&l.row, WORKER_ROW_RUNS, sizeof(l.row.runs));

        r = list_pieces(&l, call, &matched);
        if (r < 0)
                return r;
        return worker_child_send_looked(w, &survey, r > 0 ? l.next : 0, matched, false);
}
