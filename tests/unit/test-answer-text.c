/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/answer-text.h"
#include "shared/macro.h"

static void test_take(void)
{
        struct answer_text t = {};
        _cleanup_(freep) char *plain = NULL, *escaped = NULL;

        g_assert_cmpint(answer_text_take(&t, "/lib/a", &plain), ==, 1);
        g_assert_cmpstr(plain, ==, "/lib/a");
        g_assert_cmpuint(t.n_bytes, ==, 6);
        /* What counts is what is sent. */
        g_assert_cmpint(answer_text_take(&t, "b\377", &escaped), ==, 1);
        g_assert_cmpstr(escaped, ==, "b\\xff");
        g_assert_cmpuint(t.n_bytes, ==, 6 + 5);
}

static void test_full(void)
{
        struct answer_text t = { .n_bytes = ANSWER_TEXT_MAX - 4 };
        _cleanup_(freep) char *none = NULL, *fits = NULL, *empty = NULL, *nothing = NULL;

        g_assert_cmpint(answer_text_take(&t, "\377\377", &none), ==, 0);
        g_assert_null(none);
        g_assert_cmpint(answer_text_take_or_none(&t, "12345", &nothing), ==, 0);
        g_assert_cmpstr(nothing, ==, "");
        g_assert_cmpuint(t.n_bytes, ==, ANSWER_TEXT_MAX - 4);
        g_assert_cmpint(answer_text_take(&t, "1234", &fits), ==, 1);
        g_assert_cmpuint(t.n_bytes, ==, ANSWER_TEXT_MAX);
        g_assert_cmpint(answer_text_take(&t, "", &empty), ==, 1);
        g_assert_cmpint(answer_text_take(&t, "1", &none), ==, 0);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/answer-text/take", test_take);
        g_test_add_func("/answer-text/full", test_full);
        return g_test_run();
}
