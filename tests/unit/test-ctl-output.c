/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/output.h"

#include <glib.h>
#include <locale.h>

#include "ctl/json.h"
#include "ctl/progress.h"

static const struct column columns[] = {
        { .head = "NAME", .key = "name", .type = COLUMN_TEXT, .truncate = true },
        { .head = "SIZE", .key = "size_bytes", .type = COLUMN_BYTES },
        { .head = "PART", .key = "part", .type = COLUMN_PERCENT },
        { .head = "GOOD", .key = "good", .type = COLUMN_BOOLEAN },
        { .key = "inode", .type = COLUMN_NUMBER },
};

static const struct cell rows[][5] = {
        {
                { .text = "plain" },
                { .number = 69416960 },
                { .fraction = 0.5 },
                { .number = 1 },
                { .number = 7 },
        },
        {
                { .text = "q\"b\\e\033[1m\xff" },
                { .number = UINT64_MAX },
                { .fraction = 1 },
                { .number = 0 },
                { .number = 8 },
        },
};

static char *render(struct output o, size_t n_rows)
{
        _cleanup_(table_freep) struct table *t = NULL;
        char *text = NULL;
        size_t size;

        o.file = open_memstream(&text, &size);
        g_assert_cmpint(table_new(&o, "things", columns, ELEMENTSOF(columns), &t), ==, 0);
        for (size_t i = 0; i < n_rows; i++)
                g_assert_cmpint(table_add(t, rows[i]), ==, 0);
        if (o.json == JSON_OFF)
                g_assert_cmpint(table_print(t), ==, 0);
        else {
                _cleanup_(json_document_done) struct json_document d = {};

                g_assert_cmpint(json_document_init(&d), ==, 0);
                if (n_rows > 0)
                        g_assert_cmpint(json_append_row(&d, &o, columns, ELEMENTSOF(columns), rows[0]),
                                        ==, 0);
                g_assert_cmpint(json_append_array(&d, t), ==, 0);
                g_assert_cmpint(json_document_print(&d, &o), ==, 0);
        }
        fclose(o.file);
        return text;
}

static void assert_renders(struct output o, size_t n_rows, const char *expected)
{
        char *text = render(o, n_rows);

        g_assert_cmpstr(text, ==, expected);
        free(text);
}

static void test_table(void)
{
        assert_renders((struct output){ .legend = true, .width = 80 }, 2,
                       "NAME                  SIZE PART GOOD\n"
                       "plain             66.2 MiB  50% yes\n"
                       "q\"b\\\\e\\x1b[1m\\xff 16.0 EiB 100% no\n");
        assert_renders((struct output){ .legend = true, .width = 80 }, 0, "");
}

static void test_no_legend(void)
{
        char *text = render((struct output){ .width = 80 }, 1), **words = g_strsplit_set(text, " \n", -1);
        char *joined;
        size_t n = 0;

        /* How wide a column without its head is differs between versions of libsmartcols. */
        for (char **w = words; *w; w++)
                if (**w)
                        words[n++] = *w;
                else
                        g_free(*w);
        words[n] = NULL;
        joined = g_strjoinv(" ", words);
        g_assert_cmpstr(joined, ==, "plain 66.2 MiB 50% yes");
        g_free(joined);
        g_strfreev(words);
        free(text);
}

/* Names give way, figures do not. */
static void test_narrow(void)
{
        assert_renders((struct output){ .legend = true, .width = 30 }, 2,
                       "NAME            SIZE PART GOOD\n"
                       "plain       66.2 MiB  50% yes\n"
                       "q\"b\\\\e\\x1b[ 16.0 EiB 100% no\n");
}

static void test_json(void)
{
        assert_renders((struct output){ .json = JSON_SHORT, .legend = true }, 2,
                       "{\"name\":\"plain\",\"size_bytes\":69416960,"
                       "\"part\":0.5000,\"good\":true,\"inode\":7,"
                       "\"things\":["
                       "{\"name\":\"plain\",\"size_bytes\":69416960,"
                       "\"part\":0.5000,\"good\":true,\"inode\":7},"
                       "{\"name\":\"q\\\"b\\\\\\\\e\\\\x1b[1m\\\\xff\",\"size_bytes\":18446744073709551615,"
                       "\"part\":1.0000,\"good\":false,\"inode\":8}]}\n");
        assert_renders((struct output){ .json = JSON_SHORT }, 0, "{\"things\":[]}\n");
        assert_renders((struct output){ .json = JSON_PRETTY }, 0, "{\n   \"things\": []\n}\n");
}

static void assert_flows(const char *text, bool pretty, const char *expected)
{
        char *flowed = json_reflow(text, pretty);

        g_assert_cmpstr(flowed, ==, expected);
        free(flowed);
}

static void test_reflow(void)
{
        static const char text[] = " {\"a b\" : [ 1 ,{ } , [\n ],\"\\\"}\\\\\","
                                   " {\"c\":null}],\t\"d\":-1.5e3}";

        assert_flows(text, false, "{\"a b\":[1,{},[],\"\\\"}\\\\\",{\"c\":null}],\"d\":-1.5e3}");
        assert_flows(text, true,
                     "{\n"
                     "   \"a b\": [\n"
                     "      1,\n"
                     "      {},\n"
                     "      [],\n"
                     "      \"\\\"}\\\\\",\n"
                     "      {\n"
                     "         \"c\": null\n"
                     "      }\n"
                     "   ],\n"
                     "   \"d\": -1.5e3\n"
                     "}");
        /* No text of ours, but nothing to fall over either. */
        assert_flows("\"open", true, "\"open");
        assert_flows("\"\\", false, "\"\\");
        assert_flows("]}", false, "]}");
}

static void assert_progress(size_t width, const char *state, double fraction, const char *expected)
{
        char line[PROGRESS_WIDTH_MAX + 1];

        progress_format(line, width, state, fraction);
        g_assert_cmpstr(line, ==, expected);
}

static void test_progress(void)
{
        assert_progress(40, "scanning", 0, "scanning    [                    ]   0%");
        assert_progress(40, "scanning", 0.5, "scanning    [=========>          ]  50%");
        assert_progress(40, "merging", 1, "merging     [====================] 100%");
        assert_progress(40, "merging", 7, "merging     [====================] 100%");
        assert_progress(40, "merging", -1, "merging     [                    ]   0%");
        assert_progress(20, "merging", 0.25, "merging  25%");
        assert_progress(6, "merging", 0.25, "mergin");
        assert_progress(40, "a state with a long name", 0.999, "a state wit [==================> ]  99%");
}

static void test_progress_never_too_long(void)
{
        char line[PROGRESS_WIDTH_MAX + 1];

        for (size_t width = 0; width < 200; width++)
                for (int percent = 0; percent <= 100; percent++) {
                        progress_format(line, width, "selecting", percent / 100.0);
                        g_assert_cmpuint(strlen(line), <=, MIN(width, PROGRESS_WIDTH_MAX));
                }
}

int main(int argc, char *argv[])
{
        setlocale(LC_CTYPE, "C.UTF-8");
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/output/table", test_table);
        g_test_add_func("/ctl/output/no-legend", test_no_legend);
        g_test_add_func("/ctl/output/narrow", test_narrow);
        g_test_add_func("/ctl/output/json", test_json);
        g_test_add_func("/ctl/output/reflow", test_reflow);
        g_test_add_func("/ctl/output/progress", test_progress);
        g_test_add_func("/ctl/output/progress-length", test_progress_never_too_long);
        return g_test_run();
}
