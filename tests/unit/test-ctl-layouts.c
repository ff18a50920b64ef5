/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <stdlib.h>

#include "ctl-fake-bus.h"
#include "ctl/layout.h"
#include "ctl/verb-list.h"

/* The list of layout groups. */

static sd_bus_message *reply(struct fake_bus *f)
{
        sd_bus_message *m = fake_bus_message(f);
        int r;

        r = sd_bus_message_append(m, "a(subtta{sv})", 2,
                                  "web@.service", 33, 1, UINT64_C(1796071399766141), UINT64_C(1500), 3,
                                  "processes", "u", 1024, "more", "b", 1,
                                  "last_usec", "t", UINT64_C(1796071399766353),
                                  "fleet", 1000, 0, UINT64_C(1796071399000000), UINT64_C(0), 2,
                                  "processes", "u", 0, "later", "s", "unknown yet");
        g_assert_cmpint(r, >=, 0);
        fake_bus_seal(m);
        return m;
}

static char *print(enum json_mode json, const uint32_t *uid)
{
        char *text = NULL;
        size_t size;
        FILE *file = open_memstream(&text, &size);
        const struct output out = { .file = file, .json = json, .legend = true };
        struct table *t = NULL;
        sd_bus_message *m;
        struct fake_bus f;

        fake_bus_open(&f);
        m = reply(&f);
        g_assert_cmpint(layouts_table(&out, m, uid, &t), ==, 0);
        g_assert_cmpint(list_print(&out, t), ==, 0);
        fclose(file);
        table_free(t);
        sd_bus_message_unref(m);
        fake_bus_close(&f);
        return text;
}

static void test_json(void)
{
        char *text = print(JSON_SHORT, NULL);

        g_assert_cmpstr(text, ==,
                        "{\"layouts\":["
                        "{\"name\":\"web@.service\",\"uid\":33,\"unit\":true,"
                        "\"drawn_usec\":1796071399766141,\"last_usec\":1796071399766353,\"started\":1500,"
                        "\"processes\":1024,\"more\":true},"
                        "{\"name\":\"fleet\",\"uid\":1000,\"unit\":false,\"drawn_usec\":1796071399000000,"
                        "\"last_usec\":0,\"started\":0,\"processes\":0,\"more\":false}]}\n");
        free(text);
}

static void test_table(void)
{
        char *text = print(JSON_OFF, NULL), **lines = g_strsplit(text, "\n", -1);

        g_assert_cmpuint(g_strv_length(lines), ==, 4);
        g_assert_true(g_str_has_prefix(lines[0], "GROUP         UID KIND DRAWN            STARTED RUNNING"));
        g_assert_true(g_str_has_prefix(lines[1], "web@.service   33 unit 2026-"));
        g_assert_nonnull(strstr(lines[1], " 1500 1024+"));
        g_assert_true(g_str_has_prefix(lines[2], "fleet        1000 name 2026-"));
        g_assert_nonnull(strstr(lines[2], " 0 0"));
        g_strfreev(lines);
        free(text);
}

static void test_of_user(void)
{
        const uint32_t his = 1000, nobodys = 5;
        char *text = print(JSON_SHORT, &his);

        g_assert_null(strstr(text, "web@"));
        g_assert_nonnull(strstr(text, "fleet"));
        free(text);
        text = print(JSON_OFF, &nobodys);
        g_assert_cmpstr(text, ==, "");
        free(text);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/layouts/json", test_json);
        g_test_add_func("/ctl/layouts/table", test_table);
        g_test_add_func("/ctl/layouts/of-user", test_of_user);
        return g_test_run();
}
