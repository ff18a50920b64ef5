/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scans of processes that change, end or become another program meanwhile. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "scan-child.h"

static void unmap_some(uint8_t *m)
{
        munmap(m, PAGE);
        munmap(m + 10 * PAGE, PAGE);
        munmap(m + 20 * PAGE, 3 * PAGE);
        munmap(m + 99 * PAGE, PAGE);
}

/* Pages that go between the look at pagemap and the read: here the memory of a twin that has
 * fewer is read. */
static void test_vanished(void)
{
        enum { N = 100 };
        uint8_t *m = map_pages(N, 0);
        struct mm_scan_target t, twin_t;
        struct scan_fixture f;
        struct scan_child c, twin;

        for (uint64_t i = 0; i < N; i++)
                fill(m + i * PAGE, i + 1);
        c = scan_child_start(m, NULL, NULL);
        twin = scan_child_start(m, unmap_some, NULL);

        scan_fixture_start(&f, 1 << 20);
        g_assert_cmpint(mm_scan_target_open(c.dir_fd, 0, DOMAIN, &t), ==, 0);
        g_assert_cmpint(mm_scan_target_open(twin.dir_fd, 0, DOMAIN, &twin_t), ==, 0);
        g_assert_cmpint(dup2(twin_t.mem_fd, t.mem_fd), ==, t.mem_fd);
        g_assert_cmpint(scan_target(&f, &t, 0, m, N), ==, 0);
        g_assert_cmpuint(f.scan.n_looked, ==, N);
        g_assert_cmpuint(f.scan.n_read, ==, N - 6);
        g_assert_cmpuint(mm_records_count(f.records), ==, N - 6);
        for (size_t i = 0; i < N - 6; i++) {
                const struct mm_record *record = &mm_records_items(f.records)[i];

                g_assert_cmphex(record->key, ==, key_of(record->page - (uintptr_t)m / PAGE + 1, 0));
        }

        mm_scan_target_done(&t);
        mm_scan_target_done(&twin_t);
        scan_fixture_done(&f);
        scan_child_stop(&c);
        scan_child_stop(&twin);
        munmap(m, N * PAGE);
}

static void run_other(uint8_t *m)
{
        /* The pipes close by themselves: the parent sees their end. */
        execl("/bin/sleep", "sleep", "60", NULL);
        _exit(EXIT_FAILURE);
}

static void leave(uint8_t *m)
{
        _exit(EXIT_SUCCESS);
}

/* What was opened is the memory of that moment: another program's is not looked at. */
static void check_gone(scan_child_func_t then, bool scan)
{
        uint8_t *m = map_pages(50, 0);
        struct mm_scan_target t;
        struct scan_fixture f;
        struct scan_child c;

        for (uint64_t i = 0; i < 50; i++)
                fill(m + i * PAGE, i + 1);
        c = scan_child_start(m, NULL, then);
        scan_fixture_start(&f, 1 << 20);
        g_assert_cmpint(mm_scan_target_open(c.dir_fd, 0, DOMAIN, &t), ==, 0);
        if (!scan)
                mm_pagemap_forget_scan(t.pagemap);
        g_assert_false(scan_child_go_on(&c));
        g_assert_cmpint(scan_target(&f, &t, 0, m, 50), ==, -ESRCH);
        g_assert_cmpuint(mm_records_count(f.records), ==, 0);
        g_assert_cmpuint(f.scan.n_looked, ==, 0);

        mm_scan_target_done(&t);
        scan_fixture_done(&f);
        scan_child_stop(&c);
        munmap(m, 50 * PAGE);
}

static void test_exec(const void *data)
{
        check_gone(run_other, data != NULL);
}

static void test_exit(const void *data)
{
        check_gone(leave, data != NULL);
}

/* Pagemap was read, then the memory goes. */
static void test_exit_between(void)
{
        uint8_t *m = map_pages(50, 0);
        struct mm_scan_target t, gone_t;
        struct scan_fixture f;
        struct scan_child c, gone;

        memset(m, 1, 50 * PAGE);
        c = scan_child_start(m, NULL, NULL);
        gone = scan_child_start(m, NULL, leave);
        scan_fixture_start(&f, 1 << 20);
        g_assert_cmpint(mm_scan_target_open(c.dir_fd, 0, DOMAIN, &t), ==, 0);
        g_assert_cmpint(mm_scan_target_open(gone.dir_fd, 0, DOMAIN, &gone_t), ==, 0);
        g_assert_cmpint(dup2(gone_t.mem_fd, t.mem_fd), ==, t.mem_fd);
        g_assert_false(scan_child_go_on(&gone));
        g_assert_cmpint(scan_target(&f, &t, 0, m, 50), ==, -ESRCH);
        g_assert_cmpuint(mm_records_count(f.records), ==, 0);

        mm_scan_target_done(&t);
        mm_scan_target_done(&gone_t);
        scan_fixture_done(&f);
        scan_child_stop(&c);
        scan_child_stop(&gone);
        munmap(m, 50 * PAGE);
}

static void test_target(void)
{
        struct mm_scan_target t = { .mem_fd = -EBADF };
        uint8_t *m = map_pages(1, 0);
        struct scan_child c = scan_child_start(m, NULL, NULL);

        g_assert_cmpint(mm_scan_target_open(c.dir_fd, MM_TARGETS_MAX, 0, &t), ==, -E2BIG);
        kill(c.pid, SIGKILL);
        waitpid(c.pid, NULL, 0);
        g_assert_cmpint(mm_scan_target_open(c.dir_fd, 0, 0, &t), ==, -ESRCH);
        g_assert_null(t.pagemap);
        mm_scan_target_done(&t);

        close(c.command_fd);
        close(c.answer_fd);
        close(c.dir_fd);
        munmap(m, PAGE);
}

static void add_both(const char *name, GTestDataFunc func)
{
        g_autofree char *scan = g_strdup_printf("/scan-life/%s/scan", name);
        g_autofree char *read = g_strdup_printf("/scan-life/%s/read", name);

        g_test_add_data_func(scan, "", func);
        g_test_add_data_func(read, NULL, func);
}

int main(int argc, char *argv[])
{
        int r;

        g_test_init(&argc, &argv, NULL);
        scan_proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(scan_proc_fd, >=, 0);

        g_test_add_func("/scan-life/vanished", test_vanished);
        add_both("exec", test_exec);
        add_both("exit", test_exit);
        g_test_add_func("/scan-life/exit-between", test_exit_between);
        g_test_add_func("/scan-life/target", test_target);
        r = g_test_run();
        close(scan_proc_fd);
        return r;
}
