/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <limits.h>

#include "shared/macro.h"
#include "shared/parse.h"

#define USEC_PER_SEC UINT64_C(1000000)

static void test_boolean(void)
{
        static const char *const yes[] = { "1", "yes", "y", "true", "t", "on", "YES", "On", "tRuE" };
        static const char *const no[] = { "0", "no", "n", "false", "f", "off", "OFF", "N" };
        static const char *const neither[] = { "", " ", "2", "yess", "ye", " yes", "yes ", "00", "-1" };
        bool b;

        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                b = false;
                g_assert_cmpint(parse_boolean(yes[i], &b), ==, 0);
                g_assert_true(b);
        }
        for (size_t i = 0; i < ELEMENTSOF(no); i++) {
                b = true;
                g_assert_cmpint(parse_boolean(no[i], &b), ==, 0);
                g_assert_false(b);
        }
        for (size_t i = 0; i < ELEMENTSOF(neither); i++) {
                b = i % 2;
                g_assert_cmpint(parse_boolean(neither[i], &b), ==, -EINVAL);
                g_assert_cmpint(b, ==, i % 2);
        }
}

struct sample {
        const char *text;
        int r;
        uint64_t value;
};

static void check(int (*parse)(const char *, uint64_t *), const struct sample *samples, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                uint64_t value = 4711;
                int r = parse(samples[i].text, &value);

                g_test_message("\"%s\"", samples[i].text);
                g_assert_cmpint(r, ==, samples[i].r);
                g_assert_cmpuint(value, ==, r < 0 ? 4711 : samples[i].value);
        }
}

static void test_uint64(void)
{
        static const struct sample samples[] = {
                { "0", 0, 0 },
                { "7", 0, 7 },
                { "007", 0, 7 },
                { "18446744073709551615", 0, UINT64_MAX },
                { "18446744073709551616", -ERANGE },
                { "184467440737095516150", -ERANGE },
                { "99999999999999999999999999", -ERANGE },
                { "", -EINVAL },
                { "-1", -EINVAL },
                { "+1", -EINVAL },
                { " 1", -EINVAL },
                { "1 ", -EINVAL },
                { "1\n", -EINVAL },
                { "0x10", -EINVAL },
                { "1.0", -EINVAL },
                { "one", -EINVAL },
        };

        check(parse_uint64, samples, ELEMENTSOF(samples));
}

static void test_pid(void)
{
        pid_t pid = 4711;

        g_assert_cmpint(parse_pid("0", &pid), ==, -EINVAL);
        g_assert_cmpint(parse_pid("-1", &pid), ==, -EINVAL);
        g_assert_cmpint(parse_pid("", &pid), ==, -EINVAL);
        g_assert_cmpint(parse_pid("2147483648", &pid), ==, -ERANGE);
        g_assert_cmpint(parse_pid("4294967297", &pid), ==, -ERANGE);
        g_assert_cmpint(pid, ==, 4711);
        g_assert_cmpint(parse_pid("1", &pid), ==, 0);
        g_assert_cmpint(pid, ==, 1);
        g_assert_cmpint(parse_pid("2147483647", &pid), ==, 0);
        g_assert_cmpint(pid, ==, INT_MAX);
}

static void test_bytes(void)
{
        static const struct sample samples[] = {
                { "0", 0, 0 },
                { "4096", 0, 4096 },
                { "4096B", 0, 4096 },
                { "1K", 0, 1024 },
                { "64M", 0, 64 << 20 },
                { "64MB", 0, 64 << 20 },
                { "64MiB", 0, 64 << 20 },
                { "64 MiB", 0, 64 << 20 },
                { "3G", 0, UINT64_C(3) << 30 },
                { "2T", 0, UINT64_C(2) << 40 },
                { "16777215T", 0, UINT64_C(16777215) << 40 },
                { "16777216T", -ERANGE },
                { "18446744073709551616", -ERANGE },
                { "", -EINVAL },
                { "M", -EINVAL },
                { "-1M", -EINVAL },
                { "64m", -EINVAL },
                { "64iB", -EINVAL },
                { "64 ", -EINVAL },
                { " 64", -EINVAL },
                { "64  M", -EINVAL },
                { "64M ", -EINVAL },
                { "64MM", -EINVAL },
                { "64Mi", -EINVAL },
                { "64P", -EINVAL },
                { "1.5G", -EINVAL },
        };

        check(parse_bytes, samples, ELEMENTSOF(samples));
}

static void test_sec(void)
{
        static const struct sample samples[] = {
                { "0", 0, 0 },
                { "10", 0, 10 * USEC_PER_SEC },
                { "10s", 0, 10 * USEC_PER_SEC },
                { "10 s", 0, 10 * USEC_PER_SEC },
                { "1min 30s", 0, 90 * USEC_PER_SEC },
                { "1min30s", 0, 90 * USEC_PER_SEC },
                { "1 minute 30 seconds", 0, 90 * USEC_PER_SEC },
                { "30s 1min", 0, 90 * USEC_PER_SEC },
                { "2min  5", 0, 125 * USEC_PER_SEC },
                { "500ms", 0, 500000 },
                { "850us", 0, 850 },
                { "850µs", 0, 850 },
                { "2h", 0, 7200 * USEC_PER_SEC },
                { "1d", 0, 86400 * USEC_PER_SEC },
                { "1w", 0, 7 * 86400 * USEC_PER_SEC },
                { "1.5h", 0, 5400 * USEC_PER_SEC },
                { "3.4s", 0, 3400000 },
                { "0.0000019s", 0, 1 },
                { "0.99us", 0, 0 },
                { "0.50000000000000000000000000000000000000s", 0, 500000 },
                { "18446744073709551615us", 0, UINT64_MAX },
                { "18446744073709551615us 1us", -ERANGE },
                { "18446744073709.551616s", -ERANGE },
                { "18446744073710s", -ERANGE },
                { "30500568904943h", -ERANGE },
                { "99999999999999999999", -ERANGE },
                { "", -EINVAL },
                { " ", -EINVAL },
                { "s", -EINVAL },
                { "-1s", -EINVAL },
                { "10 ", -EINVAL },
                { " 10", -EINVAL },
                { "1.s", -EINVAL },
                { ".5s", -EINVAL },
                { "1.5.5s", -EINVAL },
                { "5 years", -EINVAL },
                { "5S", -EINVAL },
                { "5sec.", -EINVAL },
                { "1min, 30s", -EINVAL },
                { "infinity", -EINVAL },
        };

        check(parse_sec, samples, ELEMENTSOF(samples));
}

static void test_percent(void)
{
        unsigned n = 4711;

        g_assert_cmpint(parse_percent("0%", &n), ==, -ERANGE);
        g_assert_cmpint(parse_percent("6401%", &n), ==, -ERANGE);
        g_assert_cmpint(parse_percent("4294967301%", &n), ==, -ERANGE);
        g_assert_cmpint(parse_percent("5", &n), ==, -EINVAL);
        g_assert_cmpint(parse_percent("5 %", &n), ==, -EINVAL);
        g_assert_cmpint(parse_percent("5%%", &n), ==, -EINVAL);
        g_assert_cmpint(parse_percent("%", &n), ==, -EINVAL);
        g_assert_cmpint(parse_percent("-5%", &n), ==, -EINVAL);
        g_assert_cmpuint(n, ==, 4711);
        g_assert_cmpint(parse_percent("1%", &n), ==, 0);
        g_assert_cmpuint(n, ==, 1);
        g_assert_cmpint(parse_percent("6400%", &n), ==, 0);
        g_assert_cmpuint(n, ==, 6400);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/parse/boolean", test_boolean);
        g_test_add_func("/parse/uint64", test_uint64);
        g_test_add_func("/parse/pid", test_pid);
        g_test_add_func("/parse/bytes", test_bytes);
        g_test_add_func("/parse/sec", test_sec);
        g_test_add_func("/parse/percent", test_percent);
        return g_test_run();
}
