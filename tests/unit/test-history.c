/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "daemon/history.h"
#include "shared/macro.h"
#include "test-util.h"

#define MINUTE UINT64_C(60000000)
#define WEEK (7 * 24 * 60 * MINUTE)

struct fixture {
        char *tree;
        int tree_fd;
        struct history history;
};

static void load(struct fixture *f, int expected)
{
        history_done(&f->history);
        g_assert_cmpint(history_load(&f->history, fcntl(f->tree_fd, F_DUPFD_CLOEXEC, 3), WEEK), ==,
                        expected);
}

static void set_up(struct fixture *f, const void *data)
{
        f->tree = tree_new();
        f->tree_fd = tree_open(f->tree);
        f->history = (struct history) { .dir_fd = -EBADF };
        load(f, 0);
}

static void tear_down(struct fixture *f, const void *data)
{
        history_done(&f->history);
        safe_close(f->tree_fd);
        tree_free(f->tree);
}

static struct history_sample sample(uint64_t minute)
{
        return (struct history_sample) {
                .usec = minute * MINUTE,
                .span_usec = MINUTE,
                .saved_bytes = minute * 10,
                .saved_gross_bytes = minute * 11,
                .shared_frames = minute % 7,
                .merged_pages = minute % 9,
                .n_scanned = 5,
                .n_merged = 4,
                .n_written = 3,
                .cpu_nsec = minute,
        };
}

static void add(struct fixture *f, uint64_t from, uint64_t to)
{
        for (uint64_t i = from; i < to; i++) {
                const struct history_sample s = sample(i);

                g_assert_cmpint(history_add(&f->history, &s, WEEK), ==, 0);
                g_assert_cmpint(history_save(&f->history), ==, 0);
        }
}

static void check_sum(const struct history_sample *samples, size_t n, uint64_t n_minutes)
{
        struct history_sample sum = {};

        for (size_t i = 0; i < n; i++) {
                sum.span_usec += samples[i].span_usec;
                sum.n_scanned += samples[i].n_scanned;
                sum.n_merged += samples[i].n_merged;
                sum.n_written += samples[i].n_written;
                g_assert_true(i == 0 || samples[i - 1].usec < samples[i].usec);
                /* What was saved is that of the sample's end, whatever it was put together from. */
                g_assert_cmpuint(samples[i].saved_bytes, ==, samples[i].usec / MINUTE * 10);
        }
        g_assert_cmpuint(sum.span_usec, ==, n_minutes * MINUTE);
        g_assert_cmpuint(sum.n_scanned, ==, n_minutes * 5);
        g_assert_cmpuint(sum.n_merged, ==, n_minutes * 4);
        g_assert_cmpuint(sum.n_written, ==, n_minutes * 3);
}

static void test_ring(struct fixture *f, const void *data)
{
        /* More than it holds: older ones get coarser, and nothing is lost. */
        for (uint64_t i = 1; i <= 3 * HISTORY_MAX; i++) {
                const struct history_sample s = sample(i);

                g_assert_cmpint(history_add(&f->history, &s, UINT64_MAX), ==, 0);
                g_assert_cmpuint(f->history.n, <=, HISTORY_MAX);
        }
        check_sum(f->history.samples, f->history.n, 3 * HISTORY_MAX);
        g_assert_cmpuint(f->history.samples[0].span_usec, >, MINUTE);
        g_assert_cmpuint(f->history.samples[f->history.n - 1].span_usec, ==, MINUTE);
        g_assert_cmpuint(f->history.samples[f->history.n - 1].usec, ==, 3 * HISTORY_MAX * MINUTE);
}

static void test_keep(struct fixture *f, const void *data)
{
        const struct history_sample late = sample(8 * 24 * 60);

        add(f, 1, 100);
        add(f, 2 * 24 * 60, 2 * 24 * 60 + 50);
        g_assert_cmpint(history_add(&f->history, &late, WEEK), ==, 0);
        g_assert_cmpuint(f->history.n, ==, 51);
        g_assert_cmpuint(f->history.samples[0].usec, ==, 2 * 24 * 60 * MINUTE);
}

static void select_some(struct fixture *f, uint64_t from, uint64_t to, size_t max, size_t n,
                        uint64_t minutes)
{
        _cleanup_(freep) struct history_sample *samples = NULL;
        size_t n_samples;

        g_assert_cmpint(history_select(&f->history, from * MINUTE, to * MINUTE, max, &samples, &n_samples),
                        ==, 0);
        g_assert_cmpuint(n_samples, ==, n);
        check_sum(samples, n_samples, minutes);
}

static void test_select(struct fixture *f, const void *data)
{
        add(f, 1, 101);
        select_some(f, 0, 1000, 0, 100, 100);
        select_some(f, 11, 20, 0, 10, 10);
        select_some(f, 200, 300, 0, 0, 0);
        select_some(f, 0, 1000, 100, 100, 100);
        select_some(f, 0, 1000, 99, 50, 100);
        select_some(f, 0, 1000, 7, 7, 100);
        select_some(f, 0, 1000, 1, 1, 100);
        select_some(f, 0, 1000, SIZE_MAX, 100, 100);
        g_assert_cmpuint(f->history.n, ==, 100);
}

static char *contents(struct fixture *f, const char *name)
{
        g_autofree char *path = g_build_filename(f->tree, name, NULL);
        char *text = NULL;

        return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static void write_contents(struct fixture *f, const char *text, gssize size)
{
        g_autofree char *path = g_build_filename(f->tree, HISTORY_FILE, NULL);

        g_assert_true(g_file_set_contents(path, text, size, NULL));
}

static void test_file(struct fixture *f, const void *data)
{
        struct stat st;

        add(f, 1, 200);
        g_assert_cmpint(fstatat(f->tree_fd, HISTORY_FILE, &st, 0), ==, 0);
        g_assert_cmpint(st.st_mode & 07777, ==, 0600);
        load(f, 0);
        g_assert_cmpuint(f->history.n, ==, 199);
        check_sum(f->history.samples, 199, 199);
        add(f, 200, 203);
        load(f, 0);
        check_sum(f->history.samples, f->history.n, 202);

        /* What is forgotten leaves the file too, in the long run. */
        add(f, 20000, 21000);
        g_assert_cmpuint(f->history.n, ==, 1000);
        g_assert_cmpuint(f->history.n_lines, <=, 2 * 1000 + 65);
        load(f, 0);
        g_assert_cmpuint(f->history.n, ==, 1000);
}

/* At whatever byte the last line ends: it counts whole or not at all, and the next one is whole again. */
static void test_cut(struct fixture *f, const void *data)
{
        g_autofree char *text = NULL;
        size_t size, last;

        add(f, 1, 4);
        text = contents(f, HISTORY_FILE);
        size = strlen(text);
        for (last = size - 1; text[last - 1] != '\n'; last--)
                ;
        for (size_t n = last; n < size; n++) {
                write_contents(f, text, (gssize) n);
                load(f, 0);
                g_assert_cmpuint(f->history.n, ==, 2);
                add(f, 3, 4);
                load(f, 0);
                g_assert_cmpuint(f->history.n, ==, 3);
                check_sum(f->history.samples, 3, 3);
        }
        g_assert_null(contents(f, HISTORY_FILE_DAMAGED));
        /* Nothing at all was written. */
        write_contents(f, "", 0);
        load(f, 0);
        g_assert_cmpuint(f->history.n, ==, 0);
        add(f, 1, 2);
        load(f, 0);
        g_assert_cmpuint(f->history.n, ==, 1);
}

/* Any byte in the middle that is another one is noticed; what came before is kept, the file is set aside. */
static void test_damaged(struct fixture *f, const void *data)
{
        g_autofree char *text = NULL;
        size_t size, first, last;

        add(f, 1, 4);
        text = contents(f, HISTORY_FILE);
        size = strlen(text);
        first = strchr(strchr(text, '\n') + 1, '\n') + 1 - text;
        last = strchr(text + first, '\n') - text;
        for (size_t i = 0; i < last; i++) {
                g_autofree char *bad = g_strdup(text), *aside = NULL;

                bad[i] = bad[i] == '1' ? '2' : '1';
                write_contents(f, bad, (gssize) size);
                load(f, -EBADMSG);
                g_assert_cmpuint(f->history.n, ==, i >= first ? 1 : 0);
                aside = contents(f, HISTORY_FILE_DAMAGED);
                g_assert_cmpstr(aside, ==, bad);
                /* The next service finds a good one. */
                load(f, 0);
                g_assert_cmpuint(f->history.n, ==, i >= first ? 1 : 0);
        }
}

static void test_unwritable(struct fixture *f, const void *data)
{
        const struct history_sample s = sample(1);

        /* A directory is in the way: that is said, and the ring goes on. */
        g_assert_cmpint(mkdirat(f->tree_fd, HISTORY_FILE, 0700), ==, 0);
        g_assert_cmpint(history_add(&f->history, &s, WEEK), ==, 0);
        g_assert_cmpint(history_save(&f->history), <, 0);
        g_assert_cmpuint(f->history.n, ==, 1);
        g_assert_cmpint(unlinkat(f->tree_fd, HISTORY_FILE, AT_REMOVEDIR), ==, 0);
        g_assert_cmpint(history_save(&f->history), ==, 0);
        load(f, 0);
        g_assert_cmpuint(f->history.n, ==, 1);
}

#define ADD(name, test) g_test_add(name, struct fixture, NULL, set_up, test, tear_down)

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        ADD("/history/ring", test_ring);
        ADD("/history/keep", test_keep);
        ADD("/history/select", test_select);
        ADD("/history/file", test_file);
        ADD("/history/cut", test_cut);
        ADD("/history/damaged", test_damaged);
        ADD("/history/unwritable", test_unwritable);
        return g_test_run();
}
