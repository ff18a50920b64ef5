/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>
#include <strings.h>

#include "shared/macro.h"
#include "shared/parse.h"

#define PERCENT_MAX 6400U

int parse_boolean(const char *s, bool *ret)
{
        static const char *const yes[] = { "1", "yes", "y", "true", "t", "on" };
        static const char *const no[] = { "0", "no", "n", "false", "f", "off" };

        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                if (strcasecmp(s, yes[i]) == 0) {
                        *ret = true;
                        return 0;
                }
                if (strcasecmp(s, no[i]) == 0) {
                        *ret = false;
                        return 0;
                }
        }
        return -EINVAL;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* The digits at *@s, which is moved behind them. */
static int take_digits(const char **s, uint64_t *ret)
{
        const char *p = *s;
        uint64_t n = 0;

        if (!is_digit(*p))
                return -EINVAL;
        for (; is_digit(*p); p++)
                if (__builtin_mul_overflow(n, 10, &n) ||
                    __builtin_add_overflow(n, (uint64_t) (*p - '0'), &n))
                        return -ERANGE;
        *s = p;
        *ret = n;
        return 0;
}

int parse_uint64(const char *s, uint64_t *ret)
{
        uint64_t n;
        int r;

        r = take_digits(&s, &n);
        if (r < 0)
                return r;
        if (*s)
                return -EINVAL;
        *ret = n;
        return 0;
}

int parse_pid(const char *s, pid_t *ret)
{
        uint64_t n;
        int r;

        r = parse_uint64(s, &n);
        if (r < 0)
                return r;
        if (n == 0)
                return -EINVAL;
        if (n > INT_MAX)
                return -ERANGE;
        *ret = (pid_t) n;
        return 0;
}

int parse_bytes(const char *s, uint64_t *ret)
{
        static const char suffixes[] = "KMGT";
        const char *suffix;
        uint64_t n;
        int r;

        r = take_digits(&s, &n);
        if (r < 0)
                return r;
        if (*s == ' ' && s[1])
                s++;

        suffix = *s ? strchr(suffixes, *s) : NULL;
        if (suffix) {
                uint64_t unit = UINT64_C(1024) << (10 * (suffix - suffixes));

                s++;
                if (!streq(s, "") && !streq(s, "B") && !streq(s, "iB"))
                        return -EINVAL;
                if (__builtin_mul_overflow(n, unit, &n))
                        return -ERANGE;
        } else if (!streq(s, "") && !streq(s, "B"))
                return -EINVAL;

        *ret = n;
        return 0;
}

/* The unit at *@s, which is moved behind it; none is seconds. */
static int take_unit(const char **s, uint64_t *ret_usec)
{
        static const struct {
                const char *name;
                uint64_t usec;
        } units[] = {
                { "", 1000000 },
                { "us", 1 },
                { "usec", 1 },
                { "µs", 1 },
                { "ms", 1000 },
                { "msec", 1000 },
                { "s", 1000000 },
                { "sec", 1000000 },
                { "second", 1000000 },
                { "seconds", 1000000 },
                { "m", 60 * UINT64_C(1000000) },
                { "min", 60 * UINT64_C(1000000) },
                { "minute", 60 * UINT64_C(1000000) },
                { "minutes", 60 * UINT64_C(1000000) },
                { "h", 3600 * UINT64_C(1000000) },
                { "hr", 3600 * UINT64_C(1000000) },
                { "hour", 3600 * UINT64_C(1000000) },
                { "hours", 3600 * UINT64_C(1000000) },
                { "d", 86400 * UINT64_C(1000000) },
                { "day", 86400 * UINT64_C(1000000) },
                { "days", 86400 * UINT64_C(1000000) },
                { "w", 7 * 86400 * UINT64_C(1000000) },
                { "week", 7 * 86400 * UINT64_C(1000000) },
                { "weeks", 7 * 86400 * UINT64_C(1000000) },
        };
        size_t n = strcspn(*s, " 0123456789");

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strlen(units[i].name) == n && memcmp(*s, units[i].name, n) == 0) {
                        *s += n;
                        *ret_usec = units[i].usec;
                        return 0;
                }
        return -EINVAL;
}

int parse_sec(const char *s, uint64_t *ret_usec)
{
        uint64_t sum = 0;
        int r;

        if (*s && s[strlen(s) - 1] == ' ')
                return -EINVAL;

        do {
                const char *fraction = "";
                uint64_t n, unit;

                r = take_digits(&s, &n);
                if (r < 0)
                        return r;
                if (*s == '.') {
                        fraction = ++s;
                        s += strspn(s, "0123456789");
                        if (s == fraction)
                                return -EINVAL;
                }
                s += strspn(s, " ");
                r = take_unit(&s, &unit);
                if (r < 0)
                        return r;
                s += strspn(s, " ");

                if (__builtin_mul_overflow(n, unit, &n) || __builtin_add_overflow(sum, n, &sum))
                        return -ERANGE;
                for (; is_digit(*fraction) && unit >= 10; fraction++) {
                        unit /= 10;
                        if (__builtin_add_overflow(sum, (uint64_t) (*fraction - '0') * unit, &sum))
                                return -ERANGE;
                }
        } while (*s);

        *ret_usec = sum;
        return 0;
}

int parse_percent(const char *s, unsigned *ret)
{
        uint64_t n;
        int r;

        r = take_digits(&s, &n);
        if (r < 0)
                return r;
        if (!streq(s, "%"))
                return -EINVAL;
        if (n < 1 || n > PERCENT_MAX)
                return -ERANGE;
        *ret = (unsigned) n;
        return 0;
}
