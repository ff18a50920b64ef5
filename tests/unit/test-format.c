/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "shared/format.h"
#include "shared/macro.h"

static void test_bytes(void)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } samples[] = {
                { 0, "0 B" },
                { 412, "412 B" },
                { 1023, "1023 B" },
                { 1024, "1.0 KiB" },
                { 4096, "4.0 KiB" },
                { 1024 * 1024 - 52, "1023.9 KiB" },
                { 1024 * 1024 - 51, "1.0 MiB" },
                { 1024 * 1024 - 1, "1.0 MiB" },
                { 1024 * 1024, "1.0 MiB" },
                { 69415731, "66.2 MiB" },
                { 1024 * 1024 * UINT64_C(1996), "1.9 GiB" },
                { UINT64_C(1649267441664), "1.5 TiB" },
                { (UINT64_C(1) << 50) - 1, "1.0 PiB" },
                { UINT64_C(1) << 60, "1.0 EiB" },
                { UINT64_MAX, "16.0 EiB" },
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++)
                g_assert_cmpstr(FORMAT_BYTES(samples[i].bytes), ==, samples[i].text);
}

static void test_size(void)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } samples[] = {
                { 0, "0" },
                { 1023, "1023" },
                { 1024, "1.0K" },
                { 4096, "4.0K" },
                { 1048524, "1023.9K" },
                { 1048525, "1.0M" },
                { 69416960, "66.2M" },
                { UINT64_MAX, "16.0E" },
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++)
                g_assert_cmpstr(FORMAT_SIZE(samples[i].bytes), ==, samples[i].text);
}

static void test_span(void)
{
        static const struct {
                uint64_t usec;
                const char *text;
        } samples[] = {
                { 0, "0us" },
                { 850, "850us" },
                { 999, "999us" },
                { 1000, "1ms" },
                { 12345, "12ms" },
                { 999999, "999ms" },
                { 1000000, "1.0s" },
                { 3456789, "3.4s" },
                { 59999999, "59.9s" },
                { 60000000, "1min" },
                { 125000000, "2min 5s" },
                { UINT64_C(3599999999), "59min 59s" },
                { UINT64_C(3600000000), "1h" },
                { UINT64_C(4200000000), "1h 10min" },
                { UINT64_C(86400000000), "1d" },
                { UINT64_C(100800000000), "1d 4h" },
                { UINT64_MAX, "213503982d 8h" },
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++)
                g_assert_cmpstr(FORMAT_SPAN(samples[i].usec), ==, samples[i].text);
}

static void test_escape(void)
{
        static const struct {
                const char *in, *out;
        } samples[] = {
                { "", "" },
                { "libm.so.6", "libm.so.6" },
                { "a b", "a b" },
                { "Grüße, 世界 🙂", "Grüße, 世界 🙂" },
                { "C:\\n", "C:\\\\n" },
                { "two\nlines\t\r", "two\\x0alines\\x09\\x0d" },
                { "\x1b[31mred\x7f", "\\x1b[31mred\\x7f" },
                { "\xc2\x9b" "31m", "\\xc2\\x9b31m" },               /* CSI as one C1 character */
                { "\xe2\x80\xae" "txt", "\\xe2\\x80\\xaetxt" },      /* right-to-left override */
                { "\xef\xbb\xbf", "\\xef\\xbb\\xbf" },               /* byte order mark */
                { "\xff\x80x", "\\xff\\x80x" },                      /* no UTF-8 at all */
                { "\xc0\xaf", "\\xc0\\xaf" },                        /* overlong "/" */
                { "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },               /* and in three bytes */
                { "\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf" },      /* and in four */
                { "\xed\xa0\x80", "\\xed\\xa0\\x80" },               /* a surrogate */
                { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },      /* above U+10FFFF */
                { "\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80" },
                { "\xe4\xb8", "\\xe4\\xb8" },                        /* cut at the end */
                { "\xe4\xb8z", "\\xe4\\xb8z" },                      /* cut in the middle */
                { "\xf0\x9f\xbf\xbf", "\\xf0\\x9f\\xbf\\xbf" },      /* U+1FFFF, no character */
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                _cleanup_(freep) char *out = escape_text(samples[i].in);

                g_assert_cmpstr(out, ==, samples[i].out);
        }
}

/* Whatever goes in, what comes out is UTF-8, one line, and decodes to the same bytes. */
static void test_escape_random(void)
{
        for (unsigned round = 0; round < 20000; round++) {
                char in[24], back[sizeof(in)];
                size_t n = (size_t) g_test_rand_int_range(0, sizeof(in)), k = 0;
                _cleanup_(freep) char *out = NULL;

                for (size_t i = 0; i < n; i++)
                        in[i] = (char) g_test_rand_int_range(1, 256);
                in[n] = '\0';
                out = escape_text(in);
                g_assert_true(g_utf8_validate(out, -1, NULL));

                for (const char *p = out; *p; k++) {
                        g_assert_cmpint((unsigned char) *p, >=, ' ');
                        if (*p != '\\')
                                back[k] = *p++;
                        else if (p[1] == '\\') {
                                back[k] = '\\';
                                p += 2;
                        } else {
                                g_assert_cmpint(p[1], ==, 'x');
                                back[k] = (char) (g_ascii_xdigit_value(p[2]) << 4 |
                                                  g_ascii_xdigit_value(p[3]));
                                p += 4;
                        }
                }
                g_assert_cmpmem(back, k, in, n);
        }
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/format/bytes", test_bytes);
        g_test_add_func("/format/size", test_size);
        g_test_add_func("/format/span", test_span);
        g_test_add_func("/format/escape", test_escape);
        g_test_add_func("/format/escape/random", test_escape_random);
        return g_test_run();
}
