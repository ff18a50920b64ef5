/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/exec-line.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define L "/usr/bin/mergemem-run --"

static void test_lines(void)
{
        static const char *const cases[][2] = {
                { "/usr/bin/foo", L " /usr/bin/foo" },
                { "/usr/bin/foo -a  b", L " /usr/bin/foo -a  b" },
                { "foo -a", L " foo -a" },
                /* What stands before a command, alone and together. */
                { "-/usr/bin/foo a", "-" L " /usr/bin/foo a" },
                { ":/usr/bin/foo $a", ":" L " /usr/bin/foo $a" },
                { "+/usr/bin/foo", "+" L " /usr/bin/foo" },
                { "!/usr/bin/foo", "!" L " /usr/bin/foo" },
                { "!!/usr/bin/foo", "!!" L " /usr/bin/foo" },
                { "-:!!/usr/bin/foo", "-:!!" L " /usr/bin/foo" },
                { "+:-/usr/bin/foo", "+:-" L " /usr/bin/foo" },
                { "\"-/usr/bin/my foo\" a", "-" L " \"/usr/bin/my foo\" a" },
                { "-\"/usr/bin/my foo\" a", "-" L " \"/usr/bin/my foo\" a" },
                { "'/usr/bin/my foo'", L " '/usr/bin/my foo'" },
                /* Once each: the next is the program's. */
                { "--foo", "-" L " -foo" },
                /* Quotes, escapes, specifiers and variables. */
                { "/bin/sh -c 'echo \"$$x\" ; exit'", L " /bin/sh -c 'echo \"$$x\" ; exit'" },
                { "/bin/foo \"a ; b\" ';' \\; %i %% ${A} $B",
                  L " /bin/foo \"a ; b\" ';' \\; %i %% ${A} $B" },
                { "/bin/foo\\x20bar a\\\\", L " /bin/foo\\x20bar a\\\\" },
                { "/opt/%i/foo 'it''s' a\"b c\"d", L " /opt/%i/foo 'it''s' a\"b c\"d" },
                /* A dollar in the name of a program is one; in an argument it begins a variable. */
                { "/opt/a$b/foo $c", L " /opt/a$$b/foo $c" },
                { ":/opt/a$b/foo $c", ":" L " /opt/a$b/foo $c" },
                { "\"/opt/$/foo\"", L " \"/opt/$$/foo\"" },
                /* Several commands. */
                { "/bin/a b ; -/bin/c d", L " /bin/a b ; -" L " /bin/c d" },
                { "/bin/a ;", L " /bin/a" },
                { "/bin/a ; ; /bin/b", L " /bin/a ; " L " /bin/b" },
                { "/bin/a ;b", L " /bin/a ;b" },
                { "/bin/a; /bin/b", L " /bin/a; /bin/b" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                char reason[EXEC_REASON_MAX], *line = NULL;

                g_assert_cmpint(exec_line_launch(cases[i][0], L, &line, reason), ==, 0);
                g_assert_cmpstr(line, ==, cases[i][1]);
                free(line);
        }
}

static void test_refused(void)
{
        static const char *const cases[][2] = {
                { "@/usr/bin/foo bar", "@" },
                { "-@/usr/bin/foo bar", "@" },
                { "\"@/usr/bin/foo\" bar", "@" },
                { "/bin/a ; @/bin/b c", "@" },
                { "|foo", "shell" },
                { "-|foo", "shell" },
                { "", "no command" },
                { " ; ", "no command" },
                { "- foo", "name of a program" },
                { "\"\" foo", "name of a program" },
                { "\"-\" foo", "name of a program" },
                { "\\x2fbin/foo", "name of a program" },
                { "/opt/\\x24/foo", "escape" },
                { "/opt/\\044/foo", "escape" },
                { "/bin/foo \"bar", "does not end" },
                { "/bin/foo 'bar\"", "does not end" },
                { "\"/bin/foo", "does not end" },
                { "/bin/foo \\", "escape" },
                { "/bin/foo bar\\ ", "escape" },
                { "/bin/foo bar\\  ; /bin/true", "escape" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                char reason[EXEC_REASON_MAX] = "", *line = NULL;

                g_test_message("%s", cases[i][0]);
                g_assert_cmpint(exec_line_launch(cases[i][0], L, &line, reason), ==, -EOPNOTSUPP);
                g_assert_null(line);
                g_assert_nonnull(strstr(reason, cases[i][1]));
        }
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/exec-line/lines", test_lines);
        g_test_add_func("/ctl/exec-line/refused", test_refused);
        return g_test_run();
}
