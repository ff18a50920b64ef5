/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <sys/mman.h>

#include "lib/vmflags.h"
#include "shared/macro.h"

static const char smaps[] =
        "55d000000000-55d000001000 rw-p 00000000 00:00 0                          [heap]\n"
        "Size:                  4 kB\nRss:                   4 kB\nKSM:                   0 kB\n"
        "VmFlags: rd wr mr mw me ac mg sd \n"
        "55d000001000-55d000003000 rw-p 00000000 00:00 0 \n"
        "Size:                  8 kB\n"
        "VmFlags: rd wr mr mw me ac sd mg\n"
        "7f0000000000-7f0000001000 r--p 00000000 08:01 77                         /tmp/VmFlags: mg\n"
        "VmFlags: rd mr mw me sd \n"
        "7f0000002000-7f0000003000 rw-p 00000000 00:00 0                          [anon: mg ]\n"
        "THPeligible:           1\n"
        "VmFlags: dd wf lo um io ht ss \n"
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
        "VmFlags: ex \n";

static void test_parse(void)
{
        _cleanup_(freep) struct mm_vmflags *v = NULL;
        size_t n = 0;

        g_assert_cmpint(mm_vmflags_parse(smaps, strlen(smaps), &v, &n), ==, 0);
        g_assert_cmpuint(n, ==, 5);
        g_assert_cmphex(v[0].start, ==, 0x55d000000000);
        g_assert_cmphex(v[0].end, ==, 0x55d000001000);
        g_assert_cmphex(v[0].flags, ==, MM_VM_MERGEABLE);
        g_assert_cmphex(v[1].flags, ==, MM_VM_MERGEABLE);
        /* What a file or an area is called is no flag. */
        g_assert_cmphex(v[2].flags, ==, 0);
        g_assert_cmphex(v[3].flags, ==, MM_VM_PRIVATE | MM_VM_SPECIAL);
        g_assert_cmphex(v[4].end, ==, 0xffffffffff601000);
        g_assert_cmphex(v[4].flags, ==, 0);
}

static void test_of(void)
{
        _cleanup_(freep) struct mm_vmflags *v = NULL;
        size_t n = 0;

        g_assert_cmpint(mm_vmflags_parse(smaps, strlen(smaps), &v, &n), ==, 0);
        g_assert_cmphex(mm_vmflags_of(v, n, 0x55d000002000, 0x55d000003000), ==, MM_VM_MERGEABLE);
        g_assert_cmphex(mm_vmflags_of(v, n, 0x55d000003000, 0x7f0000002000), ==, 0);
        g_assert_cmphex(mm_vmflags_of(v, n, 0x55d000003000, 0x7f0000002001), ==, v[3].flags);
        g_assert_cmphex(mm_vmflags_of(v, n, 0, UINT64_MAX), ==, v[3].flags | MM_VM_MERGEABLE);
        g_assert_cmphex(mm_vmflags_of(v, 0, 0, UINT64_MAX), ==, 0);
}

static void test_bad(void)
{
        static const char *const texts[] = {
                "VmFlags: mg\n",
                "no area\n",
                "1000-2000\n",
                "1000 2000 rw-p\n",
                "2000-1000 rw-p \n",
                "1000-1000 rw-p \n",
                "-1000 rw-p \n",
                "1000-2000 rw-p 00000000 00:00 0",
        };
        struct mm_vmflags *v = (void *) smaps;
        size_t n = 4711;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                g_assert_cmpint(mm_vmflags_parse(texts[i], strlen(texts[i]), &v, &n), ==, -EINVAL);
        g_assert_true(v == (void *) smaps);
        g_assert_cmpuint(n, ==, 4711);
}

/* More areas than one read of smaps returns, every other one not to be dumped. */
static void test_read(void)
{
        enum { AREAS = 2000 };
        size_t page = (size_t) sysconf(_SC_PAGESIZE), n = 0, n_ours = 0;
        _cleanup_(freep) struct mm_vmflags *v = NULL;
        int fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char *memory;

        g_assert_cmpint(fd, >=, 0);
        memory = mmap(NULL, AREAS * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        g_assert_true(memory != MAP_FAILED);
        for (size_t i = 0; i < AREAS; i += 2)
                g_assert_cmpint(madvise(memory + i * page, page, MADV_DONTDUMP), ==, 0);

        g_assert_cmpint(mm_vmflags_read(fd, &v, &n), ==, 0);
        for (size_t i = 0; i < AREAS; i++) {
                uint64_t start = (uintptr_t) memory + i * page;

                g_assert_cmphex(mm_vmflags_of(v, n, start, start + page), ==, i % 2 ? 0 : MM_VM_DONTDUMP);
        }
        for (size_t i = 1; i < n; i++) {
                g_assert_cmphex(v[i].start, >=, v[i - 1].end);
                n_ours += v[i].start >= (uintptr_t) memory && v[i].end <= (uintptr_t) memory + AREAS * page;
        }
        g_assert_cmpuint(n_ours, >=, AREAS - 1);
        g_assert_cmpint(munmap(memory, AREAS * page), ==, 0);
        safe_close(fd);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/vmflags/parse", test_parse);
        g_test_add_func("/vmflags/of", test_of);
        g_test_add_func("/vmflags/bad", test_bad);
        g_test_add_func("/vmflags/read", test_read);
        return g_test_run();
}
