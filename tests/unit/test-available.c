/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/available.h"
#include "shared/macro.h"
#include "test-util.h"

#define MIB (1024ULL * 1024U)

/* As of Linux 6.1, cut. */
static const char meminfo[] =
        "MemTotal:        8130404 kB\n"
        "MemFree:          311516 kB\n"
        "MemAvailable:    5511128 kB\n"
        "Buffers:          284528 kB\n"
        "Cached:          4809868 kB\n"
        "SwapCached:            0 kB\n";

static int available(const char *text, uint64_t *ret)
{
        char *tree = tree_new();
        int fd = tree_open(tree), r;

        if (text)
                tree_write(tree, "meminfo", text);
        r = memory_available(fd, ret);
        safe_close(fd);
        tree_free(tree);
        return r;
}

static void test_machine(void)
{
        uint64_t n = 4711;

        g_assert_cmpint(available(NULL, &n), ==, -ENOENT);
        g_assert_cmpint(available("", &n), ==, -ENODATA);
        g_assert_cmpint(available("MemTotal: 1 kB\nXMemAvailable: 2 kB\n", &n), ==, -ENODATA);
        g_assert_cmpint(available("MemTotal: 1 kB\nMemAvailable: kB\n", &n), ==, -ENODATA);
        g_assert_cmpuint(n, ==, 4711);
        g_assert_cmpint(available(meminfo, &n), ==, 0);
        g_assert_cmpuint(n, ==, 5511128ULL * 1024);
        g_assert_cmpint(available("MemTotal: 1 kB\nMemAvailable: 17179869184 kB\n", &n), ==, 0);
        g_assert_cmpuint(n, ==, 1ULL << 44);
}

static void test_machine_real(void)
{
        int fd = tree_open("/proc");
        uint64_t n = 0;

        g_assert_cmpint(memory_available(fd, &n), ==, 0);
        g_assert_cmpuint(n, >, 0);
        g_assert_cmpuint(n, <, (uint64_t) sysconf(_SC_PHYS_PAGES) * (uint64_t) sysconf(_SC_PAGESIZE));
        safe_close(fd);
}

static uint64_t left(int root_fd, const char *cgroup)
{
        uint64_t n = 4711;

        g_assert_cmpint(memory_cgroup_available(root_fd, cgroup, &n), ==, 0);
        return n;
}

static void test_cgroup(void)
{
        char *tree = tree_new();
        int fd = tree_open(tree);

        /* The root has no limit, and no file of one; "user.slice" none either. */
        tree_write(tree, "memory.current", "999\n");
        tree_write(tree, "user.slice/memory.max", "max\n");
        tree_write(tree, "user.slice/memory.current", "104857600\n");
        tree_write(tree, "system.slice/memory.max", "104857600\n");
        tree_write(tree, "system.slice/memory.current", "41943040\n");
        tree_write(tree, "system.slice/tight.service/memory.max", "10485760\n");
        tree_write(tree, "system.slice/tight.service/memory.current", "4194304\n");
        tree_write(tree, "system.slice/wide.service/memory.max", "1073741824\n");
        tree_write(tree, "system.slice/wide.service/memory.current", "4194304\n");
        tree_write(tree, "system.slice/wide.service/payload/cgroup.procs", "");
        /* Lowered below what is used already, which is then reclaimed. */
        tree_write(tree, "system.slice/full.service/memory.max", "4096\n");
        tree_write(tree, "system.slice/full.service/memory.current", "8192\n");
        tree_write(tree, "system.slice/half.service/memory.max", "0\n");
        tree_write(tree, "system.slice/odd.service/memory.max", "junk\n");
        tree_write(tree, "system.slice/odd.service/memory.current", "junk\n");

        g_assert_cmpuint(left(fd, "/"), ==, UINT64_MAX);
        g_assert_cmpuint(left(fd, "/user.slice"), ==, UINT64_MAX);
        g_assert_cmpuint(left(fd, "/system.slice"), ==, 60 * MIB);
        g_assert_cmpuint(left(fd, "/system.slice/tight.service"), ==, 6 * MIB);
        /* An ancestor's limit holds for all below it, and so for what has no file of its own. */
        g_assert_cmpuint(left(fd, "/system.slice/wide.service"), ==, 60 * MIB);
        g_assert_cmpuint(left(fd, "/system.slice/wide.service/payload"), ==, 60 * MIB);
        g_assert_cmpuint(left(fd, "/system.slice/gone.service"), ==, 60 * MIB);
        g_assert_cmpuint(left(fd, "/system.slice/full.service"), ==, 0);
        g_assert_cmpuint(left(fd, "/system.slice/half.service"), ==, 60 * MIB);
        g_assert_cmpuint(left(fd, "/system.slice/odd.service"), ==, 60 * MIB);
        g_assert_cmpuint(left(fd, "/gone/as/well"), ==, UINT64_MAX);
        g_assert_cmpuint(left(fd, "/system.slicer"), ==, UINT64_MAX);

        safe_close(fd);
        tree_free(tree);
}

static void check_shortage(int root_fd, const struct memory_need *needs, size_t n, const char *cgroup,
                           uint64_t needed, uint64_t available)
{
        g_autofree struct memory_need *copy = g_memdup2(needs, n * sizeof(*needs));
        struct memory_shortage s = {};

        g_assert_cmpint(memory_cgroup_shortage(root_fd, copy, n, &s), ==, cgroup ? 1 : 0);
        g_assert_cmpstr(s.cgroup, ==, cgroup);
        g_assert_cmpuint(s.needed, ==, needed);
        g_assert_cmpuint(s.left, ==, available);
        free(s.cgroup);
}

/* Who shares a limit has to fit in together. */
static void test_shortage(void)
{
        struct memory_need needs[] = {
                { "/a/one", 40 * MIB }, { "/a/two", 40 * MIB }, { "/ab", 900 * MIB }, { NULL, 900 * MIB },
                { "/", 900 * MIB },     { "/a/one", 10 * MIB },
        };
        char *tree = tree_new();
        int fd = tree_open(tree);

        tree_write(tree, "a/memory.max", "104857600\n");
        tree_write(tree, "a/memory.current", "10485760\n");
        tree_write(tree, "a/one/memory.max", "104857600\n");
        tree_write(tree, "a/one/memory.current", "52428800\n");

        check_shortage(fd, needs, 0, NULL, 0, 0);
        check_shortage(fd, needs, ELEMENTSOF(needs), NULL, 0, 0);
        needs[1].bytes++;
        check_shortage(fd, needs, ELEMENTSOF(needs), "/a", 90 * MIB + 1, 90 * MIB);
        needs[5].bytes++;
        check_shortage(fd, needs, ELEMENTSOF(needs), "/a/one", 50 * MIB + 1, 50 * MIB);
        needs[0].cgroup = needs[5].cgroup = NULL;
        check_shortage(fd, needs, ELEMENTSOF(needs), NULL, 0, 0);

        safe_close(fd);
        tree_free(tree);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/available/machine", test_machine);
        g_test_add_func("/available/machine-real", test_machine_real);
        g_test_add_func("/available/cgroup", test_cgroup);
        g_test_add_func("/available/shortage", test_shortage);
        return g_test_run();
}
