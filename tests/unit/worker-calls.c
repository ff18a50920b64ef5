/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>

#include "worker-calls.h"

/* Far beyond what a worker may be silent. */
#define WAIT_USEC (60U * 1000U * 1000U)

void worker_calls_open(struct worker_calls *c)
{
        sigset_t mask;

        /* sd_event_add_child() wants it so. */
        g_assert_cmpint(sigemptyset(&mask), ==, 0);
        g_assert_cmpint(sigaddset(&mask, SIGCHLD), ==, 0);
        g_assert_cmpint(sigprocmask(SIG_BLOCK, &mask, NULL), ==, 0);

        c->tree = tree_new();
        c->state_fd = tree_open(c->tree);
        c->proc_fd = tree_open("/proc");
        g_assert_cmpint(sd_event_new(&c->event), ==, 0);
        g_assert_cmpint(worker_new(c->event, c->proc_fd, c->state_fd, -EBADF, &c->worker), ==, 0);
}

void worker_calls_close(struct worker_calls *c)
{
        c->worker = worker_free(c->worker);
        sd_event_unref(c->event);
        safe_close(c->state_fd);
        safe_close(c->proc_fd);
        tree_free(c->tree);
}

void outcome_done(struct outcome *o)
{
        if (o->rows)
                g_ptr_array_unref(o->rows);
        *o = (struct outcome) {};
}

const union worker_packet *outcome_row(const struct outcome *o, uint32_t type)
{
        for (size_t i = 0; i < o->rows->len; i++) {
                const union worker_packet *row = o->rows->pdata[i];

                if (row->header.type == type)
                        return row;
        }
        return NULL;
}

unsigned outcome_count(const struct outcome *o, uint32_t type)
{
        unsigned n = 0;

        for (size_t i = 0; i < o->rows->len; i++) {
                const union worker_packet *row = o->rows->pdata[i];

                n += row->header.type == type;
        }
        return n;
}

static void on_row(void *userdata, const union worker_packet *row)
{
        struct outcome *o = userdata;

        g_assert_cmpuint(o->n_ends, ==, 0);
        if (row->header.type != WORKER_PROGRESS)
                g_ptr_array_add(o->rows, g_memdup2(row, sizeof(*row)));
}

static void on_done(void *userdata, int error)
{
        struct outcome *o = userdata;

        o->n_ends++;
        o->error = error;
        o->place = o->order ? (*o->order)++ : 0;
}

void call_start(struct worker_calls *c, const union worker_packet *p, int fd, struct outcome *o)
{
        o->rows = g_ptr_array_new_with_free_func(g_free);
        g_assert_cmpint(worker_call(c->worker, p, fd, on_row, on_done, o), ==, 0);
}

void call_wait(struct worker_calls *c, struct outcome *o)
{
        gint64 until = g_get_monotonic_time() + WAIT_USEC;

        while (o->n_ends == 0) {
                g_assert_cmpint(g_get_monotonic_time(), <, until);
                g_assert_cmpint(sd_event_run(c->event, WAIT_USEC), >=, 0);
        }
        g_assert_cmpuint(o->n_ends, ==, 1);
}

int call(struct worker_calls *c, const union worker_packet *p, int fd, struct outcome *o)
{
        struct outcome own = {};
        int error;

        if (o)
                outcome_done(o);
        else
                o = &own;
        call_start(c, p, fd, o);
        call_wait(c, o);
        error = o->error;
        outcome_done(&own);
        return error;
}

void packet_resolve(union worker_packet *p, enum worker_resolve_kind kind, const char *text)
{
        worker_packet_init(p, WORKER_RESOLVE, sizeof(p->resolve));
        p->resolve.kind = kind;
        worker_packet_text(p, text);
}
