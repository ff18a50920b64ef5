/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <sys/stat.h>

#include "shared/format.h"
#include "shared/log.h"
#include "shared/parse.h"

/* What a terminal line can sensibly hold; a longer message is cut. */
#define LINE_BYTES_MAX 2048U

static const char *const level_names[] = {
        [LOG_EMERG] = "emerg",
        [LOG_ALERT] = "alert",
        [LOG_CRIT] = "crit",
        [LOG_ERR] = "err",
        [LOG_WARNING] = "warning",
        [LOG_NOTICE] = "notice",
        [LOG_INFO] = "info",
        [LOG_DEBUG] = "debug",
};

static int max_level = LOG_INFO;
static char last_error[LINE_BYTES_MAX];

void log_set_level(int level)
{
        max_level = level;
}

int log_get_level(void)
{
        return max_level;
}

int log_level_from_string(const char *s)
{
        uint64_t n;

        for (size_t i = 0; i < ELEMENTSOF(level_names); i++)
                if (streq(s, level_names[i]))
                        return (int) i;
        if (parse_uint64(s, &n) < 0 || n >= ELEMENTSOF(level_names))
                return -EINVAL;
        return (int) n;
}

const char *log_level_to_string(int level)
{
        if (level < 0 || (size_t) level >= ELEMENTSOF(level_names))
                return NULL;
        return level_names[level];
}

/* $JOURNAL_STREAM is inherited by children whose standard error is no longer the journal's:
 * systemd.exec(5) asks to compare device and inode. */
bool log_is_journal(void)
{
        const char *e = getenv("JOURNAL_STREAM");
        char stream[64];
        struct stat st;

        if (!e || fstat(STDERR_FILENO, &st) < 0)
                return false;
        snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino);
        return streq(e, stream);
}

const char *log_last_error(void)
{
        return last_error;
}

int log_full(int level, int error, const char *format, ...)
{
        char message[LINE_BYTES_MAX], line[LINE_BYTES_MAX + sizeof("<7>\\xNN\n")];
        int saved_errno = errno;
        size_t n = 0;
        ssize_t written;
        va_list ap;

        if (level > max_level && level > LOG_ERR)
                return error;

        errno = -error;
        va_start(ap, format);
        vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        if (level <= LOG_ERR)
                strcpy(last_error, message);
        if (level > max_level) {
                errno = saved_errno;
                return error;
        }

        if (log_is_journal())
                n = (size_t) sprintf(line, "<%d>", level);

        /* Names in a message may be anybody's choice: no byte of them starts a line of its own. */
        for (const char *p = message; *p && n < LINE_BYTES_MAX;) {
                size_t k = text_printable(p);

                if (k == 0)
                        n += (size_t) sprintf(line + n, "\\x%02x", (unsigned char) *p++);
                else {
                        memcpy(line + n, p, k);
                        n += k;
                        p += k;
                }
        }
        line[n++] = '\n';

        /* In one piece, so that lines of several processes do not mix. A failure has nobody left to tell. */
        written = write(STDERR_FILENO, line, n);
        (void) written;

        errno = saved_errno;
        return error;
}
