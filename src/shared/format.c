/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "shared/format.h"
#include "shared/macro.h"

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC (1000 * USEC_PER_MSEC)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)

/* @bytes >= 1024 in tenths of the unit that is told. */
static unsigned scale(uint64_t bytes, char *ret_unit)
{
        static const char units[] = "KMGTPE";
        uint64_t unit = 1024;
        size_t i = 0;

        /* What would round to 1024.0 of a unit is 1.0 of the next. */
        for (; units[i + 1] && bytes >= 1024 * unit - unit / 20; i++)
                unit *= 1024;
        *ret_unit = units[i];
        return (unsigned) (bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit);
}

char *format_bytes(char buf[FORMAT_BYTES_MAX], uint64_t bytes)
{
        unsigned tenths;
        char unit;

        if (bytes < 1024) {
                snprintf(buf, FORMAT_BYTES_MAX, "%u B", (unsigned) bytes);
                return buf;
        }
        tenths = scale(bytes, &unit);
        snprintf(buf, FORMAT_BYTES_MAX, "%u.%u %ciB", tenths / 10, tenths % 10, unit);
        return buf;
}

char *format_size(char buf[FORMAT_SIZE_MAX], uint64_t bytes)
{
        unsigned tenths;
        char unit;

        if (bytes < 1024) {
                snprintf(buf, FORMAT_SIZE_MAX, "%u", (unsigned) bytes & 0x3ffU);
                return buf;
        }
        tenths = scale(bytes, &unit);
        snprintf(buf, FORMAT_SIZE_MAX, "%u.%u%c", tenths / 10 & 0x3ffU, tenths % 10, unit);
        return buf;
}

static void format_pair(char *buf, uint64_t a, const char *a_unit, uint64_t b, const char *b_unit)
{
        if (b == 0)
                snprintf(buf, FORMAT_SPAN_MAX, "%" PRIu64 "%s", a, a_unit);
        else
                snprintf(buf, FORMAT_SPAN_MAX, "%" PRIu64 "%s %" PRIu64 "%s", a, a_unit, b, b_unit);
}

char *format_span(char buf[FORMAT_SPAN_MAX], uint64_t usec)
{
        if (usec < USEC_PER_MSEC)
                snprintf(buf, FORMAT_SPAN_MAX, "%" PRIu64 "us", usec);
        else if (usec < USEC_PER_SEC)
                snprintf(buf, FORMAT_SPAN_MAX, "%" PRIu64 "ms", usec / USEC_PER_MSEC);
        else if (usec < USEC_PER_MINUTE)
                snprintf(buf, FORMAT_SPAN_MAX, "%" PRIu64 ".%" PRIu64 "s",
                         usec / USEC_PER_SEC, usec % USEC_PER_SEC / (USEC_PER_SEC / 10));
        else if (usec < USEC_PER_HOUR)
                format_pair(buf, usec / USEC_PER_MINUTE, "min", usec % USEC_PER_MINUTE / USEC_PER_SEC, "s");
        else if (usec < USEC_PER_DAY)
                format_pair(buf, usec / USEC_PER_HOUR, "h", usec % USEC_PER_HOUR / USEC_PER_MINUTE, "min");
        else
                format_pair(buf, usec / USEC_PER_DAY, "d", usec % USEC_PER_DAY / USEC_PER_HOUR, "h");
        return buf;
}

/* Characters that have no shape of their own, or change how their neighbours are shown. */
static bool is_unprintable(uint32_t c)
{
        static const struct {
                uint32_t first, last;
        } ranges[] = {
                { 0x0000, 0x001f },   /* C0 */
                { 0x007f, 0x009f },   /* DEL, C1 */
                { 0x00ad, 0x00ad },   /* soft hyphen */
                { 0x061c, 0x061c },   /* Arabic letter mark */
                { 0x200b, 0x200f },   /* zero width, direction marks */
                { 0x2028, 0x202e },   /* line and paragraph separators, direction overrides */
                { 0x2060, 0x206f },   /* invisible operators, direction isolates */
                { 0xd800, 0xdfff },   /* surrogates */
                { 0xfdd0, 0xfdef },   /* no characters */
                { 0xfeff, 0xfeff },   /* byte order mark */
                { 0xfff0, 0xfffb },   /* specials */
                { 0xe0000, 0xe0fff }, /* tags and other ignorables */
        };

        if ((c & 0xfffe) == 0xfffe || c > 0x10ffff)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(ranges); i++)
                if (c >= ranges[i].first && c <= ranges[i].last)
                        return true;
        return false;
}

size_t text_printable(const char *s)
{
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        const unsigned char *p = (const unsigned char *) s;
        uint32_t c;
        size_t n;

        if (p[0] < 0x80)
                return is_unprintable(p[0]) ? 0 : 1;
        if ((p[0] & 0xe0) == 0xc0) {
                n = 2;
                c = p[0] & 0x1f;
        } else if ((p[0] & 0xf0) == 0xe0) {
                n = 3;
                c = p[0] & 0x0f;
        } else if ((p[0] & 0xf8) == 0xf0) {
                n = 4;
                c = p[0] & 0x07;
        } else
                return 0;

        /* The closing NUL is no continuation byte: what follows it is never read. */
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }
        return c < smallest[n] || is_unprintable(c) ? 0 : n;
}

char *escape_text(const char *s)
{
        char *out, *q;

        out = q = malloc(4 * strlen(s) + 1);
        if (!out)
                return NULL;

        while (*s) {
                size_t n = text_printable(s);

                if (n == 0)
                        q += sprintf(q, "\\x%02x", (unsigned char) *s++);
                else {
                        if (*s == '\\')
                                *q++ = '\\';
                        memcpy(q, s, n);
                        q += n;
                        s += n;
                }
        }
        *q = '\0';
        return out;
}

char *bus_text(const char *s)
{
        const char *p = s;
        size_t n;

        while ((n = text_printable(p)) > 0)
                p += n;
        return *p ? escape_text(s) : strdup(s);
}
