/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <sys/stat.h>

#include "shared/log.h"

/* Standard error goes into a packet pipe, so that each write is read alone. */
static int read_end, old_stderr;

static void capture(bool journal)
{
        g_autofree char *stream = NULL;
        int fds[2];
        struct stat st;

        g_assert_cmpint(pipe2(fds, O_CLOEXEC | O_DIRECT | O_NONBLOCK), ==, 0);
        g_assert_cmpint(fstat(fds[1], &st), ==, 0);
        stream = g_strdup_printf("%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino + !journal);
        g_setenv("JOURNAL_STREAM", stream, true);

        old_stderr = dup(STDERR_FILENO);
        g_assert_cmpint(dup2(fds[1], STDERR_FILENO), ==, STDERR_FILENO);
        close(fds[1]);
        read_end = fds[0];
}

static void release(void)
{
        g_assert_cmpint(dup2(old_stderr, STDERR_FILENO), ==, STDERR_FILENO);
        close(old_stderr);
        close(read_end);
        g_unsetenv("JOURNAL_STREAM");
}

/* What one message wrote; it was one write. */
static const char *written(void)
{
        static char buf[8192];
        ssize_t n = read(read_end, buf, sizeof(buf) - 1);

        if (n < 0) {
                g_assert_cmpint(errno, ==, EAGAIN);
                return NULL;
        }
        buf[n] = '\0';
        return buf;
}

static void test_level(void)
{
        g_assert_cmpint(log_get_level(), ==, LOG_INFO);
        g_assert_cmpint(log_level_from_string("emerg"), ==, LOG_EMERG);
        g_assert_cmpint(log_level_from_string("err"), ==, LOG_ERR);
        g_assert_cmpint(log_level_from_string("debug"), ==, LOG_DEBUG);
        g_assert_cmpint(log_level_from_string("7"), ==, LOG_DEBUG);
        g_assert_cmpint(log_level_from_string("8"), ==, -EINVAL);
        g_assert_cmpint(log_level_from_string("-1"), ==, -EINVAL);
        g_assert_cmpint(log_level_from_string("error"), ==, -EINVAL);
        g_assert_cmpint(log_level_from_string(""), ==, -EINVAL);
        for (int level = LOG_EMERG; level <= LOG_DEBUG; level++)
                g_assert_cmpint(log_level_from_string(log_level_to_string(level)), ==, level);
        g_assert_null(log_level_to_string(8));
        g_assert_null(log_level_to_string(-1));
}

static void test_filter(void)
{
        capture(false);
        log_debug("below");
        g_assert_null(written());
        log_set_level(LOG_DEBUG);
        log_debug("shown %d", 1);
        g_assert_cmpstr(written(), ==, "shown 1\n");
        log_set_level(LOG_ERR);
        log_warning("below");
        g_assert_null(written());
        g_assert_cmpint(log_warning_errno(-EIO, "below"), ==, -EIO);
        g_assert_null(written());
        log_error("shown");
        g_assert_cmpstr(written(), ==, "shown\n");
        log_set_level(LOG_INFO);
        release();
}

static void test_errno(void)
{
        g_autofree char *expected = g_strdup_printf("Cannot open: %s\n", g_strerror(ENOENT));

        capture(false);
        errno = EBADF;
        g_assert_cmpint(log_error_errno(-ENOENT, "Cannot open: %m"), ==, -ENOENT);
        g_assert_cmpint(errno, ==, EBADF);
        g_assert_cmpstr(written(), ==, expected);
        g_assert_cmpint(log_oom(), ==, -ENOMEM);
        g_assert_cmpstr(written(), ==, "Out of memory.\n");
        release();
}

static void test_journal(void)
{
        capture(true);
        log_error("one");
        g_assert_cmpstr(written(), ==, "<3>one\n");
        log_info("two");
        g_assert_cmpstr(written(), ==, "<6>two\n");
        release();

        /* Inherited from a service whose standard error went elsewhere. */
        capture(false);
        log_error("three");
        g_assert_cmpstr(written(), ==, "three\n");
        g_setenv("JOURNAL_STREAM", "nonsense", true);
        log_error("four");
        g_assert_cmpstr(written(), ==, "four\n");
        release();
}

static void test_forged(void)
{
        capture(true);
        log_info("process %s", "x\n<0>forged\r\x1b[2J\xc2\x85\xff C:\\ ü");
        g_assert_cmpstr(written(), ==, "<6>process x\\x0a<0>forged\\x0d\\x1b[2J\\xc2\\x85\\xff C:\\ ü\n");
        release();
}

static void test_long(void)
{
        g_autofree char *text = g_strnfill(100000, 'x'), *controls = g_strnfill(100000, '\x01');
        const char *line;

        capture(true);
        log_info("%s", text);
        line = written();
        g_assert_cmpuint(strlen(line), >=, 2000);
        g_assert_cmpuint(strlen(line), <, 4096);
        g_assert_true(g_str_has_suffix(line, "xxx\n"));
        g_assert_null(written());

        log_info("%s", controls);
        line = written();
        g_assert_true(g_str_has_suffix(line, "\\x01\n"));
        g_assert_cmpuint(strlen(line), <, 4096);
        g_assert_null(written());
        release();
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/log/level", test_level);
        g_test_add_func("/log/filter", test_filter);
        g_test_add_func("/log/errno", test_errno);
        g_test_add_func("/log/journal", test_journal);
        g_test_add_func("/log/forged", test_forged);
        g_test_add_func("/log/long", test_long);
        return g_test_run();
}
