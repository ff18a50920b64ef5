/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "layout-caller.h"
#include "shared/macro.h"

/* What a rule makes of processes that start with one layout. */

static struct layout_harness l;

static char *turns(void)
{
        char *log = harness_log(&l.h), *at = g_strrstr(log, "Rule \"fleet\": a turn is over"), *text;

        text = g_strndup(at ? at : "", at ? strcspn(at, "\n") : 0);
        g_free(log);
        return text;
}

/* A rule whose turn is far looks at the processes of a group together, as soon as the last is old enough. */
static void test_early(void)
{
        struct caller c[3];
        char *text = NULL;

        g_assert_cmpint(harness_daemon_stop(&l.h), ==, 0);
        harness_rules_write(&l.h, "[Daemon]\nIntervalSec=1d\nLogLevel=debug\nCpuQuota=400%\n"
                                "[Rule default]\nMinAgeSec=1w\n"
                                "[Rule fleet]\nUser=nobody\nIntervalSec=1d\nMinAgeSec=4\n");
        g_assert_true(g_file_set_contents(l.h.log, "", 0, NULL));
        harness_daemon_start(&l.h, "observe", NULL);
        for (size_t i = 0; i < ELEMENTSOF(c); i++) {
                layout_caller_start(&l, &c[i], UID_OWN, l.no_unit, "early");
                sleep_msec(500);
        }
        for (uint64_t end = now_usec() + 60000000;; sleep_msec(100)) {
                text = turns();
                if (*text)
                        break;
                g_assert_cmpuint(now_usec(), <, end);
                g_free(text);
        }
        g_test_message("%s", text);
        g_assert_nonnull(strstr(text, "; 3 processes were looked at"));
        g_free(text);
        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                layout_caller_end(&c[i]);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        layout_harness_start(&l);
        g_test_add_func("/layout-rule/early", test_early);
        return layout_harness_end(&l, g_test_run());
}
