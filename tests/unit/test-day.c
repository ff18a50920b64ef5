/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/backoff.h"
#include "daemon/budget.h"
#include "daemon/schedule.h"
#include "shared/macro.h"

/* A day of processes that come and go, under one rule, on a clock of its own: the budget, the back-off and
 * the schedule together, as the service uses them. */

#define SEC (UINT64_C(1000) * 1000U)
#define DAY (86400U * SEC)
#define INTERVAL (15U * SEC)
#define MIN_AGE (10U * SEC)
#define QUOTA 5U
#define ALLOWED (60U * SEC * QUOTA / 100U)
#define USEC_PER_PAGE 1U /* to look at it: 4 GiB a second */
#define PROGRAMS 12U
#define BATTERY_FROM (9U * 3600U * SEC)
#define BATTERY_TO (11U * 3600U * SEC)

struct process {
        struct backoff_process id;
        uint64_t born_usec, dies_usec;
        uint64_t looked_from_usec;
        unsigned n_looks, n_wakes;
        bool shares; /* has the same pages as others of its program */
        bool merged;
};

struct day {
        GRand *rand;
        GPtrArray *processes;
        struct budget budget;
        struct backoff backoff;
        struct schedule schedule;
        uint64_t now;
        uint64_t next_birth;
        pid_t last_pid;
        uint64_t mean_pages;

        /* What happened. */
        GArray *ends, *amounts;
        size_t oldest;
        uint64_t in_minute, most_in_minute;
        uint64_t n_looks, n_listed, n_merged, worst_merge_usec, on_battery;
        bool backed_off; /* what is compared with */
};

static struct process *give_birth(struct day *d)
{
        struct process *p = g_new0(struct process, 1);
        bool brief = g_rand_int_range(d->rand, 0, 3) > 0;

        p->id.pid = ++d->last_pid;
        p->id.start_ticks = d->next_birth / 10000U;
        p->id.family = (uint64_t) g_rand_int_range(d->rand, 0, PROGRAMS);
        p->id.size_bytes =
                4096U * (uint64_t) (g_rand_double_range(d->rand, 0.1, 2) * (double) d->mean_pages);
        p->born_usec = d->next_birth;
        p->dies_usec = p->born_usec +
                       (uint64_t) g_rand_int_range(d->rand, 1, brief ? 60 : 6 * 3600) * SEC;
        p->shares = p->id.family < PROGRAMS / 2U;
        return p;
}

static void live(struct day *d)
{
        for (guint i = 0; i < d->processes->len;) {
                struct process *p = g_ptr_array_index(d->processes, i);

                if (p->dies_usec <= d->now)
                        g_ptr_array_remove_index_fast(d->processes, i);
                else
                        i++;
        }
        for (; d->next_birth <= d->now;
             d->next_birth += (uint64_t) g_rand_int_range(d->rand, 1, 60) * SEC)
                g_ptr_array_add(d->processes, give_birth(d));
}

static void spend(struct day *d, uint64_t spent)
{
        d->now += spent;
        budget_charge(&d->budget, d->now, spent);
        g_array_append_val(d->ends, d->now);
        g_array_append_val(d->amounts, spent);
        d->in_minute += spent;
        while (g_array_index(d->ends, uint64_t, d->oldest) + 60U * SEC <= d->now)
                d->in_minute -= g_array_index(d->amounts, uint64_t, d->oldest++);
        d->most_in_minute = MAX(d->most_in_minute, d->in_minute);
        if (d->now > BATTERY_FROM + BUDGET_SLICE_MAX_USEC + 2000U && d->now < BATTERY_TO)
                d->on_battery += spent;
}

static struct conditions conditions_at(uint64_t now)
{
        return (struct conditions) { .saving_power = now >= BATTERY_FROM && now < BATTERY_TO };
}

/* Work of so much, in slices that never end quite in time. */
static void work(struct day *d, uint64_t usec)
{
        while (usec > 0) {
                uint64_t slice = 0, start = budget_next(&d->budget, d->now, QUOTA, 0, &slice);
                struct conditions c = conditions_at(start);

                if (schedule_resume(&d->schedule, &c, start) == SCHEDULE_NEVER) {
                        d->now = start + SEC;
                        continue;
                }
                slice = MIN(slice, usec);
                usec -= slice;
                d->now = start;
                spend(d, slice + (uint64_t) g_rand_int_range(d->rand, 0, 2000));
        }
}

static bool has_partner(const GPtrArray *looked, const struct process *p)
{
        for (guint i = 0; i < looked->len; i++) {
                const struct process *other = g_ptr_array_index(looked, i);

                if (other != p && other->shares && other->id.family == p->id.family)
                        return true;
        }
        return false;
}

static void turn(struct day *d)
{
        g_autoptr(GPtrArray) looked = g_ptr_array_new();
        uint64_t round = d->now / INTERVAL, begun = d->now, pages = 0;

        d->schedule.last_usec = d->now;
        d->schedule.born_usec = 0;
        for (guint i = 0; i < d->processes->len; i++) {
                struct process *p = g_ptr_array_index(d->processes, i);

                if (p->born_usec + MIN_AGE > begun)
                        d->schedule.born_usec = MAX(d->schedule.born_usec, p->born_usec);
                else if (!backoff_knows(&d->backoff, &p->id)) {
                        g_assert_cmpint(backoff_wake(&d->backoff, &p->id, 1, round), ==, 0);
                        for (guint k = 0; k < d->processes->len; k++) {
                                struct process *other = g_ptr_array_index(d->processes, k);

                                other->n_wakes += other->id.family == p->id.family;
                        }
                }
        }
        for (guint i = 0; i < d->processes->len; i++) {
                struct process *p = g_ptr_array_index(d->processes, i);

                if (p->born_usec + MIN_AGE > begun)
                        continue;
                d->n_listed++;
                if (!backoff_due(&d->backoff, &p->id, round) && d->backed_off)
                        continue;
                g_ptr_array_add(looked, p);
                pages += p->id.size_bytes / 4096U;
                if (p->n_looks++ == 0)
                        p->looked_from_usec = begun;
                d->n_looks++;
        }
        work(d, pages * USEC_PER_PAGE);
        for (guint i = 0; i < looked->len; i++) {
                struct process *p = g_ptr_array_index(looked, i);
                bool gained = p->shares && !p->merged && has_partner(looked, p);

                if (gained) {
                        p->merged = true;
                        d->n_merged++;
                        d->worst_merge_usec = MAX(d->worst_merge_usec, d->now - p->looked_from_usec);
                }
                g_assert_cmpint(backoff_looked(&d->backoff, &p->id, round, gained), ==, 0);
        }
        backoff_sweep(&d->backoff);
}

static void day_run(struct day *d, uint32_t seed, uint64_t mean_pages, bool backed_off)
{
        *d = (struct day) {
                .rand = g_rand_new_with_seed(seed),
                .processes = g_ptr_array_new_with_free_func(g_free),
                .ends = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
                .amounts = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
                .schedule = { .interval_usec = INTERVAL, .min_age_usec = MIN_AGE,
                              .spread_usec = schedule_spread("day", INTERVAL) },
                .mean_pages = mean_pages,
                .backed_off = backed_off,
        };
        while (d->now < DAY) {
                struct conditions c = conditions_at(d->now);
                uint64_t next = schedule_next(&d->schedule, &c, d->now);

                /* What the service is told when the adapter is plugged in. */
                d->now = next == SCHEDULE_NEVER ? d->now + SEC : next;
                if (next == SCHEDULE_NEVER)
                        continue;
                live(d);
                turn(d);
        }
}

static void day_done(struct day *d)
{
        backoff_done(&d->backoff);
        g_ptr_array_free(d->processes, TRUE);
        g_array_free(d->ends, TRUE);
        g_array_free(d->amounts, TRUE);
        g_rand_free(d->rand);
}

static void check_looks(const struct day *d)
{
        for (guint i = 0; i < d->processes->len; i++) {
                const struct process *p = g_ptr_array_index(d->processes, i);
                uint64_t n_rounds = (d->now - p->born_usec) / INTERVAL + 1U;

                /* Halving, then the limit; and once for each newcomer that it may gain with. */
                g_assert_cmpuint(p->n_looks, <=,
                                 BACKOFF_LEVEL_MAX + 3U + p->n_wakes + n_rounds / (1U << BACKOFF_LEVEL_MAX));
        }
}

static void test_day(void)
{
        static const uint64_t sizes[] = { 2000, 20000, 200000 };

        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
                for (uint32_t seed = 1; seed <= 3; seed++) {
                        struct day d;

                        day_run(&d, seed, sizes[i], true);
                        g_test_message("%ju pages: %ju of %ju looks, at most %ju us a minute, %ju merged, "
                                       "after %ju s at most",
                                       (uintmax_t) sizes[i], (uintmax_t) d.n_looks, (uintmax_t) d.n_listed,
                                       (uintmax_t) d.most_in_minute, (uintmax_t) d.n_merged,
                                       (uintmax_t) (d.worst_merge_usec / SEC));
                        g_assert_cmpuint(d.most_in_minute, <=, ALLOWED + ALLOWED / 20U);
                        g_assert_cmpuint(d.on_battery, ==, 0);
                        g_assert_cmpuint(d.n_merged, >, 100);
                        /* Where there is more than can be looked at, each turn takes many intervals. */
                        if (d.most_in_minute < ALLOWED - BUDGET_SLICE_MAX_USEC)
                                g_assert_cmpuint(d.n_looks * 10U, <, d.n_listed);
                        check_looks(&d);
                        day_done(&d);
                }
}

/* The same day without back-off is many times the work; the budget holds all the same. */
static void test_without(void)
{
        struct day with, without;

        day_run(&with, 4, 2000, true);
        day_run(&without, 4, 2000, false);
        g_assert_cmpuint(without.n_looks, >, 3U * with.n_looks);
        g_assert_cmpuint(without.most_in_minute, <=, ALLOWED + ALLOWED / 20U);
        /* And nothing is lost by it. */
        g_assert_cmpuint(with.n_merged, >=, without.n_merged * 95U / 100U);
        day_done(&with);
        day_done(&without);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/day/held", test_day);
        g_test_add_func("/day/without-back-off", test_without);
        return g_test_run();
}
