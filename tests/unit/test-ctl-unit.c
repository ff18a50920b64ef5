/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/unit.h"

#include <glib.h>

#include "test-util.h"

/* Files of units. That systemd itself reads them so is test-ctl-layout's. */

#define ETC "etc/systemd/system/"
#define RUN "run/systemd/system/"
#define LIB "lib/systemd/system/"
#define IGNORED "50-ours.conf"

struct fixture {
        char *tree;
        struct unit_root root;
};

static void set_up(struct fixture *f, const void *data)
{
        f->tree = tree_new();
        g_assert_cmpint(unit_root_open(f->tree, &f->root), ==, 0);
}

static void tear_down(struct fixture *f, const void *data)
{
        unit_root_done(&f->root);
        tree_free(f->tree);
}

/* The paths, apart by blanks; "" and the error if there are none. */
static char *find(struct fixture *f, const char *name, int expected, const char *expected_name)
{
        GString *all = g_string_new(NULL);
        struct unit_paths p = {};

        g_assert_cmpint(unit_find(&f->root, name, IGNORED, &p), ==, expected);
        if (expected == 0)
                g_assert_cmpstr(p.name, ==, expected_name ?: name);
        for (size_t i = 0; i < p.n; i++)
                g_string_append_printf(all, "%s%s", i > 0 ? " " : "", p.items[i]);
        unit_paths_done(&p);
        return g_string_free(all, FALSE);
}

#define FINDS(name, alias_of, paths)                                          \
        do {                                                                  \
                g_autofree char *found = find(f, name, 0, alias_of);          \
                g_assert_cmpstr(found, ==, paths);                            \
        } while (false)

static void test_rank(struct fixture *f, const void *data)
{
        tree_write(f->tree, LIB "a.service", "[Service]\n");
        FINDS("a.service", NULL, "/" LIB "a.service");
        tree_write(f->tree, RUN "a.service", "[Service]\n");
        FINDS("a.service", NULL, "/" RUN "a.service");
        tree_write(f->tree, ETC "a.service", "[Service]\n");
        FINDS("a.service", NULL, "/" ETC "a.service");
        g_free(find(f, "b.service", -ENOENT, NULL));
}

static void test_drop_ins(struct fixture *f, const void *data)
{
        tree_write(f->tree, LIB "a-b-c.service", "[Service]\n");
        tree_write(f->tree, LIB "a-b-c.service.d/20.conf", "x");
        tree_write(f->tree, ETC "a-b-c.service.d/10.conf", "x");
        tree_write(f->tree, ETC "a-b-c.service.d/20.conf", "x");
        tree_write(f->tree, ETC "a-b-c.service.d/" IGNORED, "x");
        tree_write(f->tree, ETC "a-b-c.service.d/.30.conf", "x");
        tree_write(f->tree, ETC "a-b-c.service.d/30.conf~", "x");
        tree_write(f->tree, RUN "a-b-.service.d/15.conf", "x");
        tree_write(f->tree, RUN "a-.service.d/05.conf", "x");
        tree_write(f->tree, RUN "a-b-.service.d/10.conf", "x");
        tree_write(f->tree, RUN "a.service.d/99.conf", "x");
        tree_write(f->tree, ETC "service.d/15.conf", "x");
        tree_write(f->tree, ETC "service.d/90.conf", "x");
        FINDS("a-b-c.service", NULL,
              "/" LIB "a-b-c.service /" RUN "a-.service.d/05.conf /" ETC "a-b-c.service.d/10.conf "
              "/" RUN "a-b-.service.d/15.conf /" ETC "a-b-c.service.d/20.conf /" ETC "service.d/90.conf");
}

static void test_templates(struct fixture *f, const void *data)
{
        tree_write(f->tree, LIB "w@.service", "[Service]\n");
        tree_write(f->tree, LIB "w@.service.d/10.conf", "x");
        tree_write(f->tree, ETC "w@1.service.d/20.conf", "x");
        tree_write(f->tree, ETC "w@.service.d/20.conf", "x");
        tree_write(f->tree, ETC "w@.service.d/30.conf", "x");
        FINDS("w@.service", NULL,
              "/" LIB "w@.service /" LIB "w@.service.d/10.conf /" ETC "w@.service.d/20.conf "
              "/" ETC "w@.service.d/30.conf");
        FINDS("w@1.service", NULL,
              "/" LIB "w@.service /" LIB "w@.service.d/10.conf /" ETC "w@1.service.d/20.conf "
              "/" ETC "w@.service.d/30.conf");
        /* One that is written for itself. */
        tree_write(f->tree, LIB "w@2.service", "[Service]\n");
        FINDS("w@2.service", NULL,
              "/" LIB "w@2.service /" LIB "w@.service.d/10.conf /" ETC "w@.service.d/20.conf "
              "/" ETC "w@.service.d/30.conf");
        tree_link(f->tree, ETC "w@3.service", "/" LIB "w@.service");
        FINDS("w@3.service", NULL,
              "/" ETC "w@3.service /" LIB "w@.service.d/10.conf /" ETC "w@.service.d/20.conf "
              "/" ETC "w@.service.d/30.conf");
}

static void test_aliases(struct fixture *f, const void *data)
{
        tree_write(f->tree, LIB "real.service", "[Service]\n");
        tree_write(f->tree, ETC "real.service.d/10.conf", "x");
        tree_write(f->tree, ETC "alias.service.d/20.conf", "x");
        tree_link(f->tree, ETC "alias.service", "/" LIB "real.service");
        FINDS("alias.service", "real.service",
              "/" LIB "real.service /" ETC "real.service.d/10.conf /" ETC "alias.service.d/20.conf");
        FINDS("real.service", NULL,
              "/" LIB "real.service /" ETC "real.service.d/10.conf /" ETC "alias.service.d/20.conf");
        /* Of an alias; of a template. */
        tree_link(f->tree, LIB "second.service", "alias.service");
        FINDS("second.service", "real.service",
              "/" LIB "real.service /" ETC "real.service.d/10.conf /" ETC "alias.service.d/20.conf");
        tree_write(f->tree, LIB "t@.service", "[Service]\n");
        tree_link(f->tree, LIB "u@.service", "t@.service");
        FINDS("u@.service", "t@.service", "/" LIB "t@.service");
        FINDS("u@x.service", "t@x.service", "/" LIB "t@.service");
        /* In a circle. */
        tree_link(f->tree, LIB "one.service", "two.service");
        tree_link(f->tree, LIB "two.service", "one.service");
        g_free(find(f, "one.service", -ELOOP, NULL));
}

/* A link to a file elsewhere is the unit; in a root of its own, from there. */
static void test_linked(struct fixture *f, const void *data)
{
        tree_write(f->tree, "opt/x/other.service", "[Service]\nExecStart=/bin/x\n");
        tree_link(f->tree, ETC "linked.service", "/opt/x/other.service");
        FINDS("linked.service", NULL, "/" ETC "linked.service");
        struct unit u = {};

        g_assert_cmpint(unit_read(&f->root, "linked.service", IGNORED, &u), ==, 0);
        g_assert_cmpstr(unit_get(&u, "Service", "ExecStart"), ==, "/bin/x");
        unit_done(&u);
        /* Not of this machine. */
        tree_link(f->tree, ETC "outside.service", "/etc/passwd");
        g_assert_cmpint(unit_read(&f->root, "outside.service", IGNORED, &u), ==, -ENOENT);
}

static void test_masked(struct fixture *f, const void *data)
{
        tree_write(f->tree, LIB "a.service", "[Service]\n");
        tree_link(f->tree, ETC "a.service", "/dev/null");
        g_free(find(f, "a.service", -ESTALE, NULL));
        tree_write(f->tree, LIB "b.service", "[Service]\n");
        tree_write(f->tree, ETC "b.service", "");
        g_free(find(f, "b.service", -ESTALE, NULL));
        tree_write(f->tree, LIB "t@.service", "[Service]\n");
        tree_link(f->tree, ETC "t@1.service", "/dev/null");
        g_free(find(f, "t@1.service", -ESTALE, NULL));
        g_free(find(f, "t@2.service", 0, "t@2.service"));
}

/* A drop-in that is a link to /dev/null takes that of its name away. */
static void test_masked_drop_in(struct fixture *f, const void *data)
{
        struct unit u = {};

        tree_write(f->tree, LIB "a.service", "[Service]\nExecStart=/bin/a\n");
        tree_write(f->tree, LIB "a.service.d/10.conf", "[Service]\nExecStart=\nExecStart=/bin/b\n");
        tree_link(f->tree, ETC "a.service.d/10.conf", "/dev/null");
        g_assert_cmpint(unit_read(&f->root, "a.service", IGNORED, &u), ==, 0);
        g_assert_cmpstr(unit_get(&u, "Service", "ExecStart"), ==, "/bin/a");
        unit_done(&u);
}

static void test_names(void)
{
        static const char *const good[] = { "a.service", "a@.service", "a@b.service", "a\\x2db.service",
                                            "a.b.service" };
        static const char *const bad[] = { "a", ".service", "a.socket", "a b.service", "a/b.service",
                                           "@.service", "a.service.d" };

        for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
                g_assert_true(unit_name_is_service(good[i]));
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                g_assert_false(unit_name_is_service(bad[i]));
        g_assert_true(unit_name_is_template("a@.service"));
        g_assert_false(unit_name_is_template("a@b.service"));
        g_assert_false(unit_name_is_template("a.service"));
}

static void test_syntax(void)
{
        static const char text[] = "\xef\xbb\xbf; first\n"
                                   "Before=any\n"
                                   "[Unit]\n"
                                   "A = 1  \n"
                                   "  # not a value\n"
                                   "B=one \\\n"
                                   "# in between\n"
                                   "   two \\\n"
                                   "\\\n"
                                   "three\n"
                                   "C=a\\\\\n"
                                   "D=a\\\\\\\n"
                                   "b\n"
                                   "no assignment\n"
                                   "E=x=y;z#q\n"
                                   "[broken\n"
                                   "F=1\n"
                                   "[Service]\r\n"
                                   "A=\r\n"
                                   "A='q' \\";
        static const struct {
                const char *section, *key, *value;
                unsigned line;
        } expected[] = {
                { "Unit", "A", "1", 4 },
                { "Unit", "B", "one     two   three", 6 },
                { "Unit", "C", "a\\\\", 11 },
                { "Unit", "D", "a\\\\ b", 12 },
                { "Unit", "E", "x=y;z#q", 15 },
                { "Service", "A", "", 19 },
                { "Service", "A", "'q'", 20 },
        };
        struct settings s = {};

        g_assert_cmpint(unit_parse("f", text, sizeof(text) - 1, &s), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
                g_assert_cmpuint(i, <, s.n);
                g_assert_cmpstr(s.items[i].section, ==, expected[i].section);
                g_assert_cmpstr(s.items[i].key, ==, expected[i].key);
                g_assert_cmpstr(s.items[i].value, ==, expected[i].value);
                g_assert_cmpuint(s.items[i].origin.line, ==, expected[i].line);
        }
        g_assert_cmpuint(s.n, ==, G_N_ELEMENTS(expected));
        settings_done(&s);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
#define ADD(name, test) g_test_add(name, struct fixture, NULL, set_up, test, tear_down)
        ADD("/ctl/unit/rank", test_rank);
        ADD("/ctl/unit/drop-ins", test_drop_ins);
        ADD("/ctl/unit/templates", test_templates);
        ADD("/ctl/unit/aliases", test_aliases);
        ADD("/ctl/unit/linked", test_linked);
        ADD("/ctl/unit/masked", test_masked);
        ADD("/ctl/unit/masked-drop-in", test_masked_drop_in);
        g_test_add_func("/ctl/unit/names", test_names);
        g_test_add_func("/ctl/unit/syntax", test_syntax);
        return g_test_run();
}
