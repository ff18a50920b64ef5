/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/backoff.h"
#include "daemon/schedule.h"

/* Workers with one layout, of two programs, under one rule, on a clock of its own: the service is told of
 * each when it starts, or is not. */

#define SEC (UINT64_C(1000) * 1000U)
#define INTERVAL (60U * SEC)
#define MIN_AGE (10U * SEC)
#define WORKERS 8U
#define LAYOUT 5U

struct worker {
        struct backoff_process id;
        uint64_t born_usec;
        uint64_t looked_usec; /* last; 0: never */
};

struct fleet {
        struct worker workers[WORKERS + 1];
        unsigned n;
        struct schedule schedule;
        struct backoff backoff;
        uint64_t now;
        bool told;
};

static void start(struct fleet *f, uint64_t born_usec)
{
        f->workers[f->n] = (struct worker) {
                .id = { .pid = (pid_t) f->n + 1, .start_ticks = born_usec / 10000U, .family = f->n % 2U,
                        .size_bytes = 1000000, .group = LAYOUT },
                .born_usec = born_usec,
        };
        f->n++;
        if (f->told)
                schedule_born(&f->schedule, born_usec);
}

/* How many were looked at. */
static unsigned turn(struct fleet *f)
{
        const struct conditions calm = {};
        uint64_t round;
        unsigned n = 0;

        f->now = schedule_next(&f->schedule, &calm, f->now);
        round = f->now / INTERVAL;
        f->schedule.last_usec = f->now;
        f->schedule.born_usec = 0;
        for (unsigned i = 0; i < f->n; i++) {
                struct worker *w = &f->workers[i];

                if (w->born_usec + MIN_AGE > f->now)
                        schedule_born(&f->schedule, w->born_usec);
                else if (!backoff_knows(&f->backoff, &w->id))
                        g_assert_cmpint(backoff_wake(&f->backoff, &w->id, 1, round), ==, 0);
        }
        for (unsigned i = 0; i < f->n; i++) {
                struct worker *w = &f->workers[i];

                if (w->born_usec + MIN_AGE > f->now || !backoff_due(&f->backoff, &w->id, round))
                        continue;
                w->looked_usec = f->now;
                n++;
                g_assert_cmpint(backoff_looked(&f->backoff, &w->id, round, false), ==, 0);
        }
        backoff_sweep(&f->backoff);
        return n;
}

static void set_up(struct fleet *f, bool told)
{
        *f = (struct fleet) {
                .schedule = { .interval_usec = INTERVAL, .min_age_usec = MIN_AGE, .begun_usec = 1000 * SEC },
                .now = 1000 * SEC,
                .told = told,
        };
        g_assert_cmpuint(turn(f), ==, 0);
        g_assert_cmpuint(f->now, ==, 1000 * SEC);
        /* One after the other, right behind a turn. */
        for (unsigned i = 0; i < WORKERS; i++)
                start(f, 1001 * SEC + i * SEC / 2U);
}

/* All in one turn, which is that of the last of them who is old enough then. */
static void test_early(void)
{
        struct fleet told, untold;

        set_up(&told, true);
        g_assert_cmpuint(turn(&told), ==, WORKERS);
        g_assert_cmpuint(told.now, ==, told.workers[WORKERS - 1].born_usec + MIN_AGE);
        set_up(&untold, false);
        g_assert_cmpuint(turn(&untold), ==, WORKERS);
        g_assert_cmpuint(untold.now, ==, 1000 * SEC + INTERVAL);
        backoff_done(&told.backoff);
        backoff_done(&untold.backoff);
}

/* One that comes late has the others looked at with it, however long they gained nothing, and whichever
 * their program is. */
static void test_together(void)
{
        unsigned n = 0;
        struct fleet f;

        set_up(&f, true);
        for (unsigned i = 0; i < 200; i++)
                n += turn(&f);
        g_assert_cmpuint(n, <, 10 * WORKERS);
        /* Past a turn at which all are due in any case. */
        while (turn(&f) == 0)
                ;
        g_assert_cmpuint(turn(&f), ==, 0);
        start(&f, f.now + SEC);
        f.now += SEC;
        g_assert_cmpuint(turn(&f), ==, WORKERS + 1);
        g_assert_cmpuint(f.now, ==, f.workers[WORKERS].born_usec + MIN_AGE);
        for (unsigned i = 0; i <= WORKERS; i++)
                g_assert_cmpuint(f.workers[i].looked_usec, ==, f.now);
        backoff_done(&f.backoff);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/fleet/early", test_early);
        g_test_add_func("/fleet/together", test_together);
        return g_test_run();
}
