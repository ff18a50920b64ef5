/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/schedule.h"

#define SEC (1000ULL * 1000U)

static const struct conditions calm = {};
static const struct conditions saving = { .saving_power = true };
static const struct conditions busy = { .cpu_pressure = true };
static const struct conditions tight = { .memory_pressure = true };
static const struct conditions busy_and_tight = { .cpu_pressure = true, .memory_pressure = true };
static const struct conditions saving_and_tight = { .saving_power = true, .memory_pressure = true };

static void test_table(void)
{
        static const struct {
                const char *what;
                const struct conditions *c;
                uint64_t last_sec, born_sec, now_sec, expected_sec;
                bool on_battery;
        } cases[] = {
                /* A rule that came at 1000, every 60 s from 7 s on, for processes of 10 s. */
                { "first turn", &calm, 0, 0, 1000, 1007, true },
                { "first turn is late", &calm, 0, 0, 1100, 1100, true },
                { "first turn, for one that is known", &calm, 0, 992, 1000, 1002, true },
                { "first turn, before he is old enough", &calm, 0, 999, 1000, 1007, true },
                { "first turn, long old enough", &calm, 0, 900, 1000, 1000, true },
                { "an interval", &calm, 1100, 0, 1120, 1160, true },
                { "late", &calm, 1100, 0, 1200, 1200, true },
                { "a young process", &calm, 1100, 1095, 1101, 1105, true },
                { "just born", &calm, 1100, 1100, 1101, 1110, true },
                { "old enough by then", &calm, 1100, 1085, 1101, 1160, true },
                { "on battery, and may", &saving, 1100, 0, 1120, 1160, true },
                { "on battery", &saving, 1100, 0, 1120, 0, false },
                { "mains, and may not on battery", &calm, 1100, 0, 1120, 1160, false },
                { "CPUs busy before it is due", &busy, 1100, 0, 1120, 1160, true },
                { "CPUs busy", &busy, 1100, 0, 1160, 1165, true },
                { "CPUs busy for long", &busy, 1100, 0, 1639, 1644, true },
                { "CPUs busy for too long", &busy, 1100, 0, 1640, 1640, true },
                { "memory is short", &tight, 1100, 0, 1101, 1115, true },
                { "memory is short, and it is time", &tight, 1100, 0, 1120, 1120, true },
                { "memory is short, first turn", &tight, 0, 0, 1001, 1001, true },
                { "memory and CPUs", &busy_and_tight, 1100, 0, 1120, 1120, true },
                { "battery and memory", &saving_and_tight, 1100, 0, 1120, 0, false },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                struct schedule s = {
                        .interval_usec = 60 * SEC,
                        .min_age_usec = 10 * SEC,
                        .on_battery = cases[i].on_battery,
                        .begun_usec = 1000 * SEC,
                        .spread_usec = 7 * SEC,
                        .last_usec = cases[i].last_sec * SEC,
                        .born_usec = cases[i].born_sec * SEC,
                };

                g_test_message("%s", cases[i].what);
                g_assert_cmpuint(schedule_next(&s, cases[i].c, cases[i].now_sec * SEC), ==,
                                 cases[i].expected_sec > 0 ? cases[i].expected_sec * SEC : SCHEDULE_NEVER);
        }
}

/* A turn that began at 1100. */
static void test_resume(void)
{
        static const struct {
                const struct conditions *c;
                uint64_t now_sec, expected_sec;
                bool on_battery;
        } cases[] = {
                { &calm, 1101, 1101, true },
                { &busy, 1101, 1106, true },
                { &busy, 1579, 1584, true },
                { &busy, 1580, 1580, true },
                { &busy_and_tight, 1101, 1101, true },
                { &saving, 1101, 1101, true },
                { &saving, 1101, 0, false },
                { &saving_and_tight, 1101, 0, false },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                struct schedule s = {
                        .interval_usec = 60 * SEC,
                        .on_battery = cases[i].on_battery,
                        .last_usec = 1100 * SEC,
                };

                g_test_message("case %zu", i);
                g_assert_cmpuint(schedule_resume(&s, cases[i].c, cases[i].now_sec * SEC), ==,
                                 cases[i].expected_sec > 0 ? cases[i].expected_sec * SEC : SCHEDULE_NEVER);
        }
}

/* The youngest counts, whoever tells of him first. */
static void test_born(void)
{
        struct schedule s = {
                .interval_usec = 60 * SEC, .min_age_usec = 10 * SEC, .last_usec = 1100 * SEC
        };

        schedule_born(&s, 1102 * SEC);
        g_assert_cmpuint(schedule_next(&s, &calm, 1103 * SEC), ==, 1112 * SEC);
        schedule_born(&s, 1105 * SEC);
        schedule_born(&s, 1101 * SEC);
        g_assert_cmpuint(schedule_next(&s, &calm, 1106 * SEC), ==, 1115 * SEC);
        /* Never later than without. */
        schedule_born(&s, 1159 * SEC);
        g_assert_cmpuint(schedule_next(&s, &calm, 1159 * SEC), ==, 1160 * SEC);
}

static void test_slack(void)
{
        /* An interval, and one who is old enough soon. */
        g_assert_cmpuint(schedule_slack_usec(1080 * SEC, 1000 * SEC), ==, 10 * SEC);
        g_assert_cmpuint(schedule_slack_usec(1004 * SEC, 1000 * SEC), ==, SEC / 2);
        g_assert_cmpuint(schedule_slack_usec(1000 * SEC, 1000 * SEC), ==, 0);
}

/* Whatever time a turn needs, it has it after few others, and has lost no more than twice that by then. */
static void test_yield(void)
{
        uint64_t before = 0, sum = 0;

        g_assert_cmpuint(schedule_yield_usec(0), ==, 0);
        g_assert_cmpuint(schedule_yield_usec(1), ==, SCHEDULE_YIELD_MIN_USEC);
        g_assert_cmpuint(schedule_yield_usec(UINT_MAX), ==, SCHEDULE_YIELD_MAX_USEC);
        for (unsigned n = 1; before < SCHEDULE_YIELD_MAX_USEC; n++) {
                uint64_t usec = schedule_yield_usec(n);

                g_assert_cmpuint(n, <, 20);
                g_assert_cmpuint(usec, >, before);
                g_assert_cmpuint(sum, <=, 2 * usec);
                sum += usec;
                before = usec;
        }
}

/* Many rules of one interval use all of it. */
static void test_spread(void)
{
        unsigned by_quarter[4] = {};

        for (unsigned i = 0; i < 400; i++) {
                g_autofree char *name = g_strdup_printf("rule-%u", i);
                uint64_t spread = schedule_spread(name, 60 * SEC);

                g_assert_cmpuint(spread, <, 60 * SEC);
                g_assert_cmpuint(spread, ==, schedule_spread(name, 60 * SEC));
                by_quarter[spread / (15 * SEC)]++;
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(by_quarter); i++)
                g_assert_cmpuint(by_quarter[i], >, 50);
        g_assert_cmpuint(schedule_spread("", 60 * SEC), <, 60 * SEC);
        g_assert_cmpuint(schedule_spread("zero", 0), ==, 0);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/schedule/table", test_table);
        g_test_add_func("/schedule/resume", test_resume);
        g_test_add_func("/schedule/born", test_born);
        g_test_add_func("/schedule/slack", test_slack);
        g_test_add_func("/schedule/yield", test_yield);
        g_test_add_func("/schedule/spread", test_spread);
        return g_test_run();
}
