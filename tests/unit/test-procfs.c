/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "lib/procfs.h"
#include "test-util.h"

/* The parsers, and captured trees: no process is needed. */

#define STAT_REST(state, flags, start) \
        state " 1 2 3 0 -1 " flags " 100 0 7 0 3 5 0 0 20 -5 4 0 " start " 8888 99 18446744073709551615 1 0"
#define STAT(comm, state) "4711 (" comm ") " STAT_REST(state, "4194304", "123456789") "\n"
#define STATUS_UID "Uid:\t1000\t1001\t1002\t1003\n"

static void test_stat(void)
{
        static const struct {
                const char *text, *comm;
                char state;
                bool kernel_thread;
        } cases[] = {
                { STAT("sleep", "S"), "sleep", 'S', false },
                { STAT("a) R 1 (b", "D"), "a) R 1 (b", 'D', false },
                { STAT(") (", "T"), ") (", 'T', false },
                { STAT("))", "T"), "))", 'T', false },
                { STAT("with\nnewline", "t"), "with\nnewline", 't', false },
                { STAT("", "Z"), "", 'Z', false },
                { STAT("\xff\x01", "R"), "\xff\x01", 'R', false },
                { "2 (kthreadd) " STAT_REST("S", "2129984", "123456789"), "kthreadd", 'S', true },
                /* no end of line, and nothing after what is needed */
                { "1 (x) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 123456789", "x", 'S', false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                /* Of exactly that size: nothing behind is read. */
                g_autofree char *copy = g_memdup2(cases[i].text, strlen(cases[i].text));
                struct mm_process p = MM_PROCESS_NULL;

                g_assert_cmpint(mm_parse_stat(copy, strlen(cases[i].text), &p), ==, 0);
                g_assert_cmpstr(p.comm, ==, cases[i].comm);
                g_assert_cmpint(p.state, ==, cases[i].state);
                g_assert_cmpint(p.kernel_thread, ==, cases[i].kernel_thread);
                g_assert_cmpuint(p.start_ticks, ==, 123456789);
        }
}

static void test_stat_long_comm(void)
{
        char comm[100], *text;
        struct mm_process p = MM_PROCESS_NULL;

        memset(comm, 'k', sizeof(comm) - 1);
        comm[sizeof(comm) - 1] = '\0';
        text = g_strdup_printf("7 (%s) " STAT_REST("S", "0", "1"), comm);
        g_assert_cmpint(mm_parse_stat(text, strlen(text), &p), ==, 0);
        g_assert_cmpuint(strlen(p.comm), ==, MM_COMM_MAX - 1);
        g_free(text);
}

static void test_stat_malformed(void)
{
        static const char *const texts[] = {
                "",
                "4711",
                "4711 (sleep",
                "4711 sleep) S 1 2 3",
                "4711 )sleep( " STAT_REST("S", "0", "1"),
                "4711 (sleep)",
                "4711 (sleep)S 1 2 3",
                "4711 (sleep) " STAT_REST("SS", "0", "1"),
                "4711 (sleep) " STAT_REST("", "0", "1"),
                "4711 (sleep) " STAT_REST("S", "x", "1"),
                "4711 (sleep) " STAT_REST("S", "0", "-1"),
                "4711 (sleep) " STAT_REST("S", "0", "18446744073709551616"),
                "4711 (sleep) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0",
        };
        static const char nul[] = "4711 (sl\0ep) " STAT_REST("S", "0", "1");
        struct mm_process p = { .comm = "before", .start_ticks = 4711, .state = '?' };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                g_test_message("%s", texts[i]);
                g_assert_cmpint(mm_parse_stat(texts[i], strlen(texts[i]), &p), ==, -EINVAL);
        }
        g_assert_cmpint(mm_parse_stat(nul, sizeof(nul) - 1, &p), ==, -EINVAL);
        g_assert_cmpstr(p.comm, ==, "before");
        g_assert_cmpuint(p.start_ticks, ==, 4711);
        g_assert_cmpint(p.state, ==, '?');
}

static void test_status(void)
{
        static const char text[] =
                "Name:\tUid:\\n\nState:\tS (sleeping)\nTracerPid:\t815\n" STATUS_UID
                "Gid:\t0\t0\t0\t0\nGroups:\t4 24 27 \nVmSize:\t   18360 kB\nRssAnon:\t     940 kB\n"
                "RssFile:\t    3012 kB\nVmSwap:\t      12 kB\nThreads:\t13\nCapInh:\t0000000000000000\n"
                "CapPrm:\t000001fffeffffff\nCapEff:\t0000000000000400\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        static const char kernel_thread[] = STATUS_UID "Kthread:\t1\n";
        g_autofree char *copy = g_memdup2(text, strlen(text));
        struct mm_process p = { .kernel_thread = true };

        g_assert_cmpint(mm_parse_status(copy, strlen(text), &p), ==, 0);
        g_assert_cmpuint(p.ruid, ==, 1000);
        g_assert_cmpuint(p.euid, ==, 1001);
        g_assert_cmpuint(p.suid, ==, 1002);
        g_assert_cmpuint(p.fsuid, ==, 1003);
        g_assert_cmpint(p.tracer, ==, 815);
        g_assert_cmpuint(p.rss_anon_bytes, ==, 940 * 1024);
        g_assert_cmphex(p.cap_permitted, ==, 0x1fffeffffff);
        g_assert_cmphex(p.cap_effective, ==, 0x400);
        g_assert_true(p.kernel_thread); /* not said here: as it was */

        /* A kernel thread has no memory to speak of. */
        p = (struct mm_process){};
        g_assert_cmpint(mm_parse_status(kernel_thread, strlen(kernel_thread), &p), ==, 0);
        g_assert_true(p.kernel_thread);
        g_assert_cmpuint(p.rss_anon_bytes, ==, 0);
}

static void test_status_malformed(void)
{
        static const char *const texts[] = {
                "",
                "Name:\tx\n",
                "Uid:\n",
                "Uid:\t0\t0\t0\n",
                "Uid:\t0\t0\t0\t4294967296\n",
                "Uid:\t0\t0\t0\t-1\n",
                "XUid:\t0\t0\t0\t0\n",
                STATUS_UID "TracerPid:\n",
                STATUS_UID "TracerPid:\t2147483648\n",
                STATUS_UID "Kthread:\t2\n",
                STATUS_UID "RssAnon:\t18014398509481984 kB\n",
                STATUS_UID "CapPrm:\txyz\n",
                STATUS_UID "CapEff:\t10000000000000000\n",
        };
        struct mm_process p = { .euid = 4711 };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                g_test_message("%s", texts[i]);
                g_assert_cmpint(mm_parse_status(texts[i], strlen(texts[i]), &p), ==, -EINVAL);
        }
        g_assert_cmpuint(p.euid, ==, 4711);
}

static void test_cgroup(void)
{
        static const struct {
                const char *text;
                int result;
                const char *path;
        } cases[] = {
                { "0::/\n", 0, "/" },
                { "0::/system.slice/a.service\n", 0, "/system.slice/a.service" },
                { "0::/system.slice/a.service", 0, "/system.slice/a.service" },
                { "0::/gone (deleted)\n", 0, "/gone" },
                { "0::/with blanks : and colons\n", 0, "/with blanks : and colons" },
                { "0::/../../other\n", 0, "/../../other" },
                { "2:cpu,cpuacct:/x\n1:name=systemd:/y\n0::/z\n", 0, "/z" },
                { "10::/x\n0::/z\n", 0, "/z" },
                { "2:cpu:/x\n1:name=systemd:/y\n", 0, NULL },
                { "2:cpu:0::/x\n", 0, NULL },
                { "", 0, NULL },
                { "0::\n", -EINVAL, NULL },
                { "0::", -EINVAL, NULL },
                { "0::relative\n", -EINVAL, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                g_autofree char *copy = g_memdup2(cases[i].text, strlen(cases[i].text));
                _cleanup_(freep) char *path = NULL;

                g_test_message("%s", cases[i].text);
                g_assert_cmpint(mm_parse_cgroup(copy, strlen(cases[i].text), &path), ==, cases[i].result);
                g_assert_cmpstr(path, ==, cases[i].path);
        }
}

static void test_unit(void)
{
        static const struct {
                const char *cgroup, *unit;
        } cases[] = {
                { "/system.slice/a.service", "a.service" },
                { "/system.slice/a.service/worker", "a.service" },
                { "/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service" },
                { "/init.scope", "init.scope" },
                { "/user.slice/user-1000.slice/session-2.scope", "session-2.scope" },
                { "/user.slice/user-1000.slice/user@1000.service/app.slice/b.service", "user@1000.service" },
                { "/system.slice/docker-12.scope/system.slice/c.service", "docker-12.scope" },
                { "/system.slice/_a.service", "a.service" },
                { "/system.slice/__a.service", "_a.service" },
                { "/dev-hugepages.mount", "dev-hugepages.mount" },
                { "/system.slice/dbus.socket", "dbus.socket" },
                { "/system.slice/dev-sda2.swap/", "dev-sda2.swap" },
                { "//system.slice//a.service", "a.service" },
                { "/", NULL },
                { "", NULL },
                { "/system.slice", NULL },
                { "/lxc/system.slice/a.service", NULL }, /* not the host's */
                { "/system.slice/.service", NULL },
                { "/system.slice/_.service", NULL },
                { "/system.slice/a.servicex", NULL },
                { "/system.slice/a.timer", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *unit = NULL;

                g_test_message("%s", cases[i].cgroup);
                g_assert_cmpint(mm_cgroup_unit(cases[i].cgroup, &unit), ==, cases[i].unit ? 0 : -ENXIO);
                g_assert_cmpstr(unit, ==, cases[i].unit);
        }
}

static void write_process(const char *tree, const char *pid, const char *stat, const char *status,
                          const char *cgroup)
{
        g_autofree char *stat_path = g_build_filename(pid, "stat", NULL);
        g_autofree char *status_path = g_build_filename(pid, "status", NULL);
        g_autofree char *cgroup_path = g_build_filename(pid, "cgroup", NULL);

        if (stat)
                tree_write(tree, stat_path, stat);
        if (status)
                tree_write(tree, status_path, status);
        if (cgroup)
                tree_write(tree, cgroup_path, cgroup);
}

static void test_tree(void)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        char *tree = tree_new();
        _cleanup_(closep) int fd = tree_open(tree);
        g_autofree char *own = g_strdup_printf("Uid:\t1\t%u\t3\t4\nTracerPid:\t2\n", geteuid());

        write_process(tree, "4711", STAT("one", "S"), own, "1:cpu:/x\n0::/system.slice/a.service\n");
        tree_link(tree, "4711/exe", "/usr/bin/one thing (deleted)");

        g_assert_cmpint(mm_process_open(fd, 4711, false, &p), ==, 0);
        g_assert_cmpint(p.pid, ==, 4711);
        g_assert_cmpint(p.pid_fd, <, 0);
        g_assert_cmpint(p.dir_fd, >=, 0);
        g_assert_cmpuint(p.start_ticks, ==, 123456789);
        g_assert_cmpuint(p.ruid, ==, 1);
        g_assert_cmpuint(p.fsuid, ==, 4);
        g_assert_cmpint(p.tracer, ==, 2);
        g_assert_cmpstr(p.comm, ==, "one");
        g_assert_cmpstr(p.cgroup, ==, "/system.slice/a.service");
        g_assert_cmpstr(p.exe, ==, "/usr/bin/one thing");
        g_assert_true(p.exe_deleted);
        g_assert_false(mm_file_id_known(&p.exe_id));
        g_assert_false(mm_file_id_known(&p.user_ns));
        g_assert_true(p.dumpable); /* stat belongs to its user */
        g_assert_cmpint(mm_process_verify(&p), ==, 0);

        write_process(tree, "4711", STAT("one", "Z"), NULL, NULL);
        g_assert_cmpint(mm_process_verify(&p), ==, -ESRCH);
        write_process(tree, "4711", "nonsense", NULL, NULL);
        g_assert_cmpint(mm_process_verify(&p), ==, -EINVAL);
        mm_process_done(&p);
        tree_free(tree);
}

static void test_tree_incomplete(void)
{
        static const char foreign[] = "Uid:\t4711\t4711\t4711\t4711\n";
        char *tree = tree_new();
        _cleanup_(closep) int fd = tree_open(tree);
        struct mm_process p = { .pid = 4711 };

        g_assert_cmpint(mm_process_open(fd, 0, false, &p), ==, -EINVAL);
        g_assert_cmpint(mm_process_open(fd, -1, false, &p), ==, -EINVAL);
        g_assert_cmpint(mm_process_open(fd, 1, false, &p), ==, -ESRCH);
        tree_write(tree, "2", "no directory");
        g_assert_cmpint(mm_process_open(fd, 2, false, &p), ==, -ENOTDIR);
        write_process(tree, "3", NULL, foreign, NULL);
        g_assert_cmpint(mm_process_open(fd, 3, false, &p), ==, -ESRCH);
        write_process(tree, "4", STAT("x", "S"), NULL, NULL);
        g_assert_cmpint(mm_process_open(fd, 4, false, &p), ==, -ESRCH);
        write_process(tree, "5", STAT("x", "Z"), foreign, NULL);
        g_assert_cmpint(mm_process_open(fd, 5, false, &p), ==, -ESRCH);
        write_process(tree, "6", "x", foreign, NULL);
        g_assert_cmpint(mm_process_open(fd, 6, false, &p), ==, -EINVAL);
        write_process(tree, "7", STAT("x", "S"), "x", NULL);
        g_assert_cmpint(mm_process_open(fd, 7, false, &p), ==, -EINVAL);
        write_process(tree, "8", STAT("x", "S"), foreign, "0::x\n");
        g_assert_cmpint(mm_process_open(fd, 8, false, &p), ==, -EINVAL);
        g_assert_cmpint(p.pid, ==, 4711);

        /* A kernel without cgroups, a process without exe, of somebody who is not the owner. */
        write_process(tree, "9", STAT("x", "S"), foreign, NULL);
        g_assert_cmpint(mm_process_open(fd, 9, false, &p), ==, 0);
        g_assert_null(p.cgroup);
        g_assert_null(p.exe);
        g_assert_false(p.exe_deleted);
        g_assert_false(p.dumpable);
        mm_process_done(&p);
        g_assert_cmpint(p.dir_fd, <, 0);
        mm_process_done(&p);
        mm_process_done(NULL);
        tree_free(tree);
}

/* A member of very many groups. */
static void test_tree_long_status(void)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        g_autoptr(GString) status = g_string_new(STATUS_UID "Groups:\t");
        char *tree = tree_new();
        _cleanup_(closep) int fd = tree_open(tree);

        for (unsigned i = 0; i < 65536; i++)
                g_string_append_printf(status, "%u ", i + 1000000000);
        g_string_append(status, "\nTracerPid:\t7\n");
        write_process(tree, "1", STAT("x", "S"), status->str, NULL);
        g_assert_cmpint(mm_process_open(fd, 1, false, &p), ==, 0);
        g_assert_cmpint(p.tracer, ==, 7);
        tree_free(tree);
}

static void test_next(void)
{
        static const char *const others[] = { "0", "00x", "-5", "self", "12a", "2147483648",
                                              "99999999999999999999" };
        _cleanup_(closedirp) DIR *dir = NULL;
        char *tree = tree_new();
        unsigned found = 0;
        pid_t pid;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                tree_write(tree, others[i], "");
        tree_write(tree, "1/stat", "");
        tree_write(tree, "42/stat", "");
        tree_write(tree, "2147483647/stat", "");

        dir = opendir(tree);
        g_assert_nonnull(dir);
        while ((r = mm_procfs_next(dir, &pid)) > 0) {
                g_assert_true(pid == 1 || pid == 42 || pid == 2147483647);
                found++;
        }
        g_assert_cmpint(r, ==, 0);
        g_assert_cmpuint(found, ==, 3);
        tree_free(tree);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/procfs/stat", test_stat);
        g_test_add_func("/procfs/stat-long-comm", test_stat_long_comm);
        g_test_add_func("/procfs/stat-malformed", test_stat_malformed);
        g_test_add_func("/procfs/status", test_status);
        g_test_add_func("/procfs/status-malformed", test_status_malformed);
        g_test_add_func("/procfs/cgroup", test_cgroup);
        g_test_add_func("/procfs/unit", test_unit);
        g_test_add_func("/procfs/tree", test_tree);
        g_test_add_func("/procfs/tree-incomplete", test_tree_incomplete);
        g_test_add_func("/procfs/tree-long-status", test_tree_long_status);
        g_test_add_func("/procfs/next", test_next);
        return g_test_run();
}
