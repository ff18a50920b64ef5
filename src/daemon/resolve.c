/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/resolve.h"

static void next(struct resolve *r);

static void on_row(void *userdata, const union worker_packet *row)
{
        struct resolve *r = userdata;
        struct selector_value *v = &r->selector->values[r->next];

        if (row->header.type != WORKER_ROW_RESOLVED || row->resolved.error < 0)
                return;
        if (v->kind == SELECTOR_USER)
                v->uid = row->resolved.uid;
        else
                v->file = row->resolved.file;
}

static void on_done(void *userdata, int error)
{
        struct resolve *r = userdata;
        const struct selector_value *v = &r->selector->values[r->next];

        if (error >= 0 && v->kind == SELECTOR_USER && v->uid == (uid_t) -1)
                error = -ESRCH;
        if (error < 0) {
                r->done(r->userdata, error);
                return;
        }
        r->next++;
        next(r);
}

static void next(struct resolve *r)
{
        union worker_packet p;
        int k;

        while (r->next < r->selector->n_values &&
               !selector_value_needs_resolving(&r->selector->values[r->next]))
                r->next++;
        if (r->next >= r->selector->n_values) {
                r->done(r->userdata, 0);
                return;
        }
        worker_packet_init(&p, WORKER_RESOLVE, sizeof(p.resolve));
        p.resolve.kind = r->selector->values[r->next].kind == SELECTOR_USER ? WORKER_RESOLVE_USER
                                                                            : WORKER_RESOLVE_PATH;
        worker_packet_text(&p, r->selector->values[r->next].text);
        k = worker_call(r->worker, &p, -1, on_row, on_done, r);
        if (k < 0)
                r->done(r->userdata, k);
}

void resolve_start(struct resolve *r, struct worker *worker, struct selector *selector, worker_done_t done,
                   void *userdata)
{
        *r = (struct resolve) { .worker = worker, .selector = selector, .done = done, .userdata = userdata };
        next(r);
}

void resolve_stop(struct resolve *r)
{
        if (r->worker)
                worker_forget(r->worker, r);
}
