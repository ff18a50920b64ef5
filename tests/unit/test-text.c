/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <sys/stat.h>

#include "lib/text.h"
#include "shared/macro.h"
#include "test-util.h"

static struct mm_text text_of(const char *s)
{
        return (struct mm_text){ s, s + strlen(s) };
}

static void test_cursor(void)
{
        struct mm_text t = text_of("aab::c"), part;

        g_assert_false(mm_text_skip(&t, 'b'));
        g_assert_true(mm_text_skip(&t, 'a'));
        mm_text_skip_all(&t, 'a');
        g_assert_cmpuint(mm_text_size(&t), ==, 4);
        g_assert_false(mm_text_prefix(&t, "b::c "));
        g_assert_false(mm_text_prefix(&t, "::"));
        g_assert_true(mm_text_prefix(&t, "b:"));
        g_assert_true(mm_text_until(&t, ':', &part));
        g_assert_cmpuint(mm_text_size(&part), ==, 0);
        g_assert_true(mm_text_until(&t, ':', &part));
        g_assert_cmpmem(part.at, mm_text_size(&part), "c", 1);
        g_assert_false(mm_text_until(&t, ':', &part));
        g_assert_false(mm_text_skip(&t, 'c'));
        mm_text_skip_all(&t, 'c');
        g_assert_cmpuint(mm_text_size(&t), ==, 0);
}

static void test_number(void)
{
        static const struct {
                const char *text;
                unsigned base;
                bool good;
                uint64_t value;
                size_t rest;
        } cases[] = {
                { "0", 10, true, 0, 0 },
                { "0815 x", 10, true, 815, 2 },
                { "18446744073709551615", 10, true, UINT64_MAX, 0 },
                { "18446744073709551616", 10, false, 0, 20 },
                { "99999999999999999999999999", 10, false, 0, 26 },
                { "12af", 10, true, 12, 2 },
                { "12afg", 16, true, 0x12af, 1 },
                { "ffffffffffffffff", 16, true, UINT64_MAX, 0 },
                { "10000000000000000", 16, false, 0, 17 },
                { "ABC", 16, false, 0, 3 },
                { "0x1", 16, true, 0, 2 },
                { "", 10, false, 0, 0 },
                { "-1", 10, false, 0, 2 },
                { " 1", 10, false, 0, 2 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct mm_text t = text_of(cases[i].text);
                uint64_t value = 4711;

                g_test_message("%s", cases[i].text);
                g_assert_cmpint(mm_text_number(&t, cases[i].base, &value), ==, cases[i].good);
                g_assert_cmpuint(value, ==, cases[i].good ? cases[i].value : 4711);
                g_assert_cmpuint(mm_text_size(&t), ==, cases[i].rest);
        }
}

static void test_read(void)
{
        static const size_t sizes[] = { 0, 1, 2, 3, 4, 5, 63, 64, 65, 4096, 100000 };
        static const size_t hints[] = { 0, 1, 2, 4, 64, 4096 };
        char *tree = tree_new();
        _cleanup_(closep) int fd = tree_open(tree);

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                g_autofree char *content = g_strnfill(sizes[i], 'x');

                tree_write(tree, "file", content);
                for (size_t k = 0; k < ELEMENTSOF(hints); k++) {
                        _cleanup_(freep) char *text = NULL;
                        size_t size = 4711;

                        g_assert_cmpint(mm_read_file(fd, "file", hints[k], sizes[i], &text, &size), ==, 0);
                        g_assert_cmpuint(size, ==, sizes[i]);
                        g_assert_cmpuint(strlen(text), ==, sizes[i]);
                }
                for (size_t k = 0; sizes[i] > 0 && k < ELEMENTSOF(hints); k++) {
                        char *text = (void *)-1;
                        size_t size = 4711;

                        g_assert_cmpint(mm_read_file(fd, "file", hints[k], sizes[i] - 1, &text, &size), ==,
                                        -E2BIG);
                        g_assert_true(text == (void *)-1);
                        g_assert_cmpuint(size, ==, 4711);
                }
        }
        tree_free(tree);
}

static void test_read_faults(void)
{
        char *tree = tree_new(), *text;
        _cleanup_(closep) int fd = tree_open(tree);
        size_t size;

        g_assert_cmpint(mm_read_file(fd, "missing", 64, 64, &text, &size), ==, -ENOENT);
        tree_write(tree, "directory/file", "");
        g_assert_cmpint(mm_read_file(fd, "directory", 64, 64, &text, &size), ==, -EISDIR);
        /* One without end. */
        g_assert_cmpint(mm_read_file(fd, "/dev/zero", 64, 1000000, &text, &size), ==, -E2BIG);
        tree_free(tree);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/text/cursor", test_cursor);
        g_test_add_func("/text/number", test_number);
        g_test_add_func("/text/read", test_read);
        g_test_add_func("/text/read-faults", test_read_faults);
        return g_test_run();
}
