/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The programs of mmlib(3) and mmlib_ctx(3), as they stand there, without mergemod. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "mmlib-memory.h"

#define STACK_PAGES 32U

static void fill_stack(bool equal)
{
        uint8_t pages[STACK_PAGES * PAGE];
        volatile uint8_t *p = pages;

        for (size_t i = 0; i < sizeof(pages); i++)
                p[i] = (uint8_t) (i / PAGE + 1);
        /* So that no page is like another's. */
        for (size_t i = 0; !equal && i < sizeof(pages); i += PAGE / 2)
                memcpy((void *) (p + i), &(uint64_t) { (uint64_t) getpid() << 32 | i }, sizeof(uint64_t));
}

static void fill_equal(void *unused)
{
        fill_stack(true);
}

static void fill_different(void *unused)
{
        fill_stack(false);
}

static char *run(const char *program, const char *option, pid_t a, pid_t b, int *ret_status)
{
        g_autofree char *command = g_strdup_printf("%s %s %d %d", program, option, (int) a, (int) b);
        g_autoptr(GError) error = NULL;
        g_autofree char *output = NULL, *errors = NULL;

        g_assert_true(g_spawn_command_line_sync(command, &output, &errors, ret_status, &error));
        return g_strconcat(output, errors, NULL);
}

static unsigned long saving(pid_t a, pid_t b)
{
        int status;
        g_autofree char *output = run(MERGE_STACKS, "-n", a, b, &status);
        unsigned long n;

        g_assert_cmpint(status, ==, 0);
        g_assert_cmpint(sscanf(output, "%lu pages could be saved\n", &n), ==, 1);
        return n;
}

static void test_merge_stacks(void)
{
        pid_t pids[3] = { child_start(fill_equal, NULL), child_start(fill_equal, NULL),
                          child_start(fill_different, NULL) };
        unsigned long equal = saving(pids[0], pids[1]), different = saving(pids[0], pids[2]);
        g_autofree char *output = NULL;
        int status;

        g_assert_cmpuint(equal, >=, STACK_PAGES - 1);
        g_assert_cmpuint(different, <, STACK_PAGES / 2);
        output = run(MERGE_STACKS, "", pids[0], pids[1], &status);
        g_assert_cmpint(status, !=, 0);
        g_assert_true(g_str_has_suffix(output, "merge: Package not installed\n"));
        for (size_t i = 0; i < 3; i++)
                child_kill(pids[i]);
}

static void test_merge_two(void)
{
        pid_t pids[2] = { child_start(fill_equal, NULL), child_start(fill_equal, NULL) };
        g_autofree char *output = NULL;
        int status;

        output = run(MERGE_TWO, "", pids[0], pids[1], &status);
        g_assert_cmpint(status, !=, 0);
        g_assert_cmpstr(output, ==, "m_merge: Package not installed\n");
        for (size_t i = 0; i < 2; i++)
                child_kill(pids[i]);
}

int main(int argc, char **argv)
{
        g_setenv("LC_ALL", "C", TRUE);
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/mmlib-examples/merge-stacks", test_merge_stacks);
        g_test_add_func("/mmlib-examples/merge-two", test_merge_two);
        return g_test_run();
}
