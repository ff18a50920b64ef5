/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "json.h"
#include "layout-caller.h"
#include "shared/macro.h"
#include "shared/names.h"

/* The list of layout groups, and secrets drawn anew: what users get to know and may do. */

static struct layout_harness l;

struct row {
        bool unit;
        uint64_t drawn_usec, n_given, last_usec;
        uint32_t n_processes;
        int more;
};

/* The group as @bus sees it: false if it does not. @ret_n: how many it sees. */
static bool find(sd_bus *bus, const char *wanted, uid_t of, bool is_unit, struct row *ret, size_t *ret_n)
{
        sd_bus_message *m = NULL;
        bool found = false;
        size_t n = 0;

        g_assert_cmpint(sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                           "Layouts", NULL, &m, NULL),
                        >=, 0);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(subtta{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "subtta{sv}") > 0) {
                const char *name, *key;
                struct row row = { 0 };
                uint32_t uid;
                int unit_flag;

                n++;
                g_assert_cmpint(sd_bus_message_read(m, "subtt", &name, &uid, &unit_flag, &row.drawn_usec,
                                                    &row.n_given),
                                >, 0);
                row.unit = unit_flag;
                g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
                while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                        g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                        if (streq(key, "processes"))
                                g_assert_cmpint(sd_bus_message_read(m, "v", "u", &row.n_processes), >, 0);
                        else if (streq(key, "more"))
                                g_assert_cmpint(sd_bus_message_read(m, "v", "b", &row.more), >, 0);
                        else {
                                g_assert_cmpstr(key, ==, "last_usec");
                                g_assert_cmpint(sd_bus_message_read(m, "v", "t", &row.last_usec), >, 0);
                        }
                        g_assert_cmpint(sd_bus_message_exit_container(m), >=, 0);
                }
                g_assert_cmpint(sd_bus_message_exit_container(m), >=, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >=, 0);
                if (streq(name, wanted) && uid == of && row.unit == is_unit) {
                        found = true;
                        *ret = row;
                }
        }
        sd_bus_message_unref(m);
        if (ret_n)
                *ret_n = n;
        return found;
}

static void test_list(void)
{
        sd_bus *own = harness_connect_as(&l.h, UID_OWN), *stranger = harness_connect_as(&l.h, UID_DEFAULT);
        uint64_t before = (uint64_t) g_get_real_time();
        struct answer roots = layout_asked(&l, 0, l.unit, ""), owns = layout_asked(&l, UID_OWN, l.unit, "");
        struct caller c[3];
        struct row row;
        size_t n;

        layout_expect(&roots, l.unit);
        layout_expect(&owns, l.unit);
        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                layout_caller_start(&l, &c[i], UID_OWN, l.no_unit, "list");
        g_assert_true(find(own, "list", UID_OWN, false, &row, NULL));
        g_assert_cmpuint(row.n_given, ==, 3);
        g_assert_cmpuint(row.n_processes, ==, 3);
        g_assert_false(row.more);
        g_assert_cmpuint(row.drawn_usec, >=, before);
        g_assert_cmpuint(row.last_usec, >=, row.drawn_usec);
        g_assert_cmpuint(row.last_usec, <=, (uint64_t) g_get_real_time());
        layout_caller_end(&c[0]);
        g_assert_true(find(own, "list", UID_OWN, false, &row, NULL));
        g_assert_cmpuint(row.n_given, ==, 3);
        g_assert_cmpuint(row.n_processes, ==, 2);

        /* root sees all of them, others none but their own. */
        g_assert_true(find(l.h.bus, "list", UID_OWN, false, &row, NULL));
        g_assert_false(find(l.h.bus, "list", UID_OWN, true, &row, NULL));
        g_assert_true(find(l.h.bus, l.unit, 0, true, &row, NULL));
        g_assert_false(find(own, l.unit, 0, true, &row, NULL));
        g_assert_true(find(own, l.unit, UID_OWN, true, &row, NULL));
        g_assert_false(find(stranger, "list", UID_OWN, false, &row, &n));
        g_assert_cmpuint(n, ==, 0);

        /* Who has it is known to the next service too. */
        g_assert_cmpint(harness_daemon_stop(&l.h), ==, 0);
        layout_caller_end(&c[1]);
        harness_daemon_start(&l.h, "observe", NULL);
        g_assert_true(find(own, "list", UID_OWN, false, &row, NULL));
        g_assert_cmpuint(row.n_given, ==, 3);
        g_assert_cmpuint(row.n_processes, ==, 1);
        layout_caller_end(&c[2]);
        sd_bus_close_unref(own);
        sd_bus_close_unref(stranger);
}

static char *rotate(sd_bus *bus, const char *group, uint32_t uid)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *name;

        (void) sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                  "RotateLayout", &error, NULL, "su", group, uid);
        name = g_strdup(error.name);
        sd_bus_error_free(&error);
        return name;
}

static void expect_rotate(sd_bus *bus, const char *group, uint32_t uid, const char *wanted)
{
        char *error = rotate(bus, group, uid);

        g_assert_cmpstr(error, ==, wanted);
        g_free(error);
}

static void test_rotate(void)
{
        sd_bus *own = harness_connect_as(&l.h, UID_OWN), *no = harness_connect_as(&l.h, UID_NO),
               *yes = harness_connect_as(&l.h, UID_YES);
        struct answer before = layout_asked(&l, UID_OWN, l.unit, "");
        struct answer others = layout_asked(&l, UID_NO, l.unit, ""), after, last;
        struct caller c;
        struct row row;

        /* What another has called the same is meant too: one draws both. */
        layout_caller_start(&l, &c, UID_OWN, l.no_unit, l.unit);
        expect_rotate(own, l.unit, UID_OWN, NULL);
        after = layout_asked(&l, UID_OWN, l.unit, "");
        g_assert_false(layout_same(&before, &after));
        last = layout_asked(&l, UID_OWN, l.no_unit, l.unit);
        g_assert_false(layout_same(&c.answer, &last));
        /* Who runs has the layout of before. */
        g_assert_true(find(own, l.unit, UID_OWN, false, &row, NULL));
        g_assert_cmpuint(row.n_processes, ==, 0);
        g_assert_cmpuint(row.n_given, ==, 1);
        layout_caller_end(&c);
        last = layout_asked(&l, UID_NO, l.unit, "");
        g_assert_true(layout_same(&others, &last));

        expect_rotate(own, "no-such", UID_OWN, MERGEMEM_ERROR_NO_SUCH_LAYOUT);
        expect_rotate(own, "", UID_OWN, MERGEMEM_ERROR_BAD_LAYOUT);
        expect_rotate(own, "a b", UID_OWN, MERGEMEM_ERROR_BAD_LAYOUT);
        /* Others': who may configure may do so. */
        expect_rotate(own, l.unit, UID_NO, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        expect_rotate(no, l.unit, UID_OWN, SD_BUS_ERROR_ACCESS_DENIED);
        last = layout_asked(&l, UID_OWN, l.unit, "");
        g_assert_true(layout_same(&after, &last));
        expect_rotate(yes, l.unit, UID_OWN, NULL);
        last = layout_asked(&l, UID_OWN, l.unit, "");
        g_assert_false(layout_same(&after, &last));
        expect_rotate(l.h.bus, l.unit, UID_OWN, NULL);
        expect_rotate(l.h.bus, "no-such", UID_OWN, MERGEMEM_ERROR_NO_SUCH_LAYOUT);
        after = layout_asked(&l, UID_OWN, l.unit, "");
        g_assert_false(layout_same(&after, &last));

        /* And that lasts. */
        g_assert_cmpint(harness_daemon_stop(&l.h), ==, 0);
        harness_daemon_start(&l.h, "observe", NULL);
        last = layout_asked(&l, UID_OWN, l.unit, "");
        g_assert_true(layout_same(&after, &last));
        sd_bus_close_unref(own);
        sd_bus_close_unref(no);
        sd_bus_close_unref(yes);
}

static char *ctl(uid_t uid, int status, const char *args)
{
        char *bus = g_strconcat("--bus=", l.h.address, NULL), **words = g_strsplit(args, " ", 12), *text;
        const char *argv[16] = { l.h.ctl, bus };

        for (size_t i = 0; words[i]; i++)
                argv[i + 2] = words[i];
        g_assert_cmpint(WEXITSTATUS(spawn_run(&(struct spawn){ .argv = argv, .uid = uid }, 60000, &text)),
                        ==, status);
        g_test_message("%s: %s", args, text);
        g_strfreev(words);
        g_free(bus);
        return text;
}

static void test_ctl(void)
{
        struct answer a = layout_asked(&l, UID_OWN, l.no_unit, "ctl");
        struct answer b = layout_asked(&l, UID_YES, l.no_unit, "ctl"), again;
        char *text = ctl(0, 0, "layouts"), *secret;

        g_assert_nonnull(strstr(text, "ctl "));
        g_assert_nonnull(strstr(text, l.unit));
        secret = g_strdup_printf("%02x%02x%02x", a.secret[0], a.secret[1], a.secret[2]);
        g_assert_null(strstr(text, secret));
        g_free(secret);
        g_free(text);
        text = ctl(UID_OWN, 0, "layouts --json=short");
        g_assert_true(json_valid(text));
        g_assert_nonnull(strstr(text, "\"name\":\"ctl\",\"uid\":65534,\"unit\":false,\"drawn_usec\":"));
        g_assert_null(strstr(text, "\"uid\":3,"));
        g_free(text);

        g_free(ctl(UID_OWN, MERGEMEM_EXIT_DONE, "layouts rotate ctl"));
        again = layout_asked(&l, UID_OWN, l.no_unit, "ctl");
        g_assert_false(layout_same(&a, &again));
        a = again;
        again = layout_asked(&l, UID_YES, l.no_unit, "ctl");
        g_assert_true(layout_same(&b, &again));
        /* root means all of that name, unless he says whose. */
        g_free(ctl(0, MERGEMEM_EXIT_DONE, "layouts rotate ctl --user=3"));
        again = layout_asked(&l, UID_YES, l.no_unit, "ctl");
        g_assert_false(layout_same(&b, &again));
        b = again;
        again = layout_asked(&l, UID_OWN, l.no_unit, "ctl");
        g_assert_true(layout_same(&a, &again));
        text = ctl(0, MERGEMEM_EXIT_DONE, "layouts rotate ctl --json=short");
        g_assert_cmpstr(text, ==, "{\"name\":\"ctl\",\"drawn\":2}\n");
        g_free(text);
        again = layout_asked(&l, UID_OWN, l.no_unit, "ctl");
        g_assert_false(layout_same(&a, &again));
        again = layout_asked(&l, UID_YES, l.no_unit, "ctl");
        g_assert_false(layout_same(&b, &again));

        g_free(ctl(UID_OWN, MERGEMEM_EXIT_NOT_PERMITTED, "layouts rotate ctl --user=sys"));
        g_free(ctl(0, MERGEMEM_EXIT_NOTHING_MATCHED, "layouts rotate no-such"));
        g_free(ctl(0, MERGEMEM_EXIT_NOTHING_MATCHED, "layouts rotate ctl --user=no-such-user"));
        g_free(ctl(0, MERGEMEM_EXIT_USAGE, "layouts rotate"));
        g_free(ctl(0, MERGEMEM_EXIT_USAGE, "layouts spin ctl"));
        g_free(ctl(0, MERGEMEM_EXIT_USAGE, "layouts rotate ctl --user=sys --user=bin"));
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        layout_harness_start(&l);
        g_test_add_func("/layout-list/list", test_list);
        g_test_add_func("/layout-list/rotate", test_rotate);
        g_test_add_func("/layout-list/ctl", test_ctl);
        return layout_harness_end(&l, g_test_run());
}
