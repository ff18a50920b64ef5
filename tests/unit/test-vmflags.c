/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "lib/vmflags.h"
#include "shared/macro.h"
#include "test-util.h"

static const char smaps[] =
        "55d000000000-55d000001000 rw-p 00000000 00:00 0                          [heap]\n"
        "Size:                  4 kB\nRss:                   4 kB\nKSM:                   0 kB\n"
        "VmFlags: rd wr mr mw me ac mg sd \n"
        "55d000001000-55d000003000 rw-p 00000000 00:00 0 \n"
        "Size:                  8 kB\nAnonHugePages:         0 kB\n"
        "VmFlags: rd wr mr mw me ac sd mg\n"
        "7f0000000000-7f0000001000 r--p 00000000 08:01 77                         /tmp/VmFlags: mg\n"
        "VmFlags: rd mr mw me sd \n"
        "7f0000002000-7f0000003000 rw-p 00000000 00:00 0                          [anon: mg ]\n"
        "THPeligible:           1\n"
        "VmFlags: dd wf lo um io ht ss \n"
        "7f0000200000-7f0000800000 rw-p 00000000 00:00 0 \n"
        "KSM:                  12 kB\nAnonHugePages:      4096 kB\nShmemPmdMapped:        0 kB\n"
        "VmFlags: rd wr nh \n"
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
        "VmFlags: ex \n";

static void test_parse(void)
{
        _cleanup_(freep) struct mm_vmflags *v = NULL;
        size_t n = 0;

        g_assert_cmpint(mm_vmflags_parse(smaps, strlen(smaps), &v, &n), ==, 0);
        g_assert_cmpuint(n, ==, 6);
        g_assert_cmphex(v[0].start, ==, 0x55d000000000);
        g_assert_cmphex(v[0].end, ==, 0x55d000001000);
        g_assert_cmphex(v[0].flags, ==, MM_VM_MERGEABLE);
        g_assert_cmphex(v[1].flags, ==, MM_VM_MERGEABLE);
        /* What a file or an area is called is no flag. */
        g_assert_cmphex(v[2].flags, ==, 0);
        g_assert_cmphex(v[3].flags, ==, MM_VM_PRIVATE | MM_VM_SPECIAL);
        g_assert_cmphex(v[4].flags, ==, MM_VM_NOHUGEPAGE | MM_VM_HAS_HUGE | MM_VM_HAS_KSM);
        g_assert_cmphex(v[5].end, ==, 0xffffffffff601000);
        g_assert_cmphex(v[5].flags, ==, 0);
}

static void test_of(void)
{
        _cleanup_(freep) struct mm_vmflags *v = NULL;
        size_t n = 0;

        g_assert_cmpint(mm_vmflags_parse(smaps, strlen(smaps), &v, &n), ==, 0);
        g_assert_cmphex(mm_vmflags_of(v, n, 0x55d000002000, 0x55d000003000), ==, MM_VM_MERGEABLE);
        g_assert_cmphex(mm_vmflags_of(v, n, 0x55d000003000, 0x7f0000002000), ==, 0);
        g_assert_cmphex(mm_vmflags_of(v, n, 0x55d000003000, 0x7f0000002001), ==, v[3].flags);
        g_assert_cmphex(mm_vmflags_of(v, n, 0, UINT64_MAX), ==, v[3].flags | v[4].flags | MM_VM_MERGEABLE);
        g_assert_cmphex(mm_vmflags_of(v, 0, 0, UINT64_MAX), ==, 0);
}

static void test_bad(void)
{
        static const char *const texts[] = {
                "VmFlags: mg\n",
                "AnonHugePages: 2048 kB\n",
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

/* maps and smaps write a newline in a name as \\012, so a name is never a line of its own; but what
 * follows it looks like one. */
static void test_newline(void)
{
        static const char text[] =
                "7f0000000000-7f0000001000 rw-p 00000000 08:01 77 /tmp/a\\012VmFlags: mg\\0127f-80 rw-p\n"
                "Rss:                   4 kB\n"
                "VmFlags: rd wr dd \n"
                "7f0000001000-7f0000002000 rw-p 00000000 08:01 78      \\012\\012Size: \\012\n"
                "VmFlags: rd lo \n";
        _cleanup_(freep) struct mm_vmflags *v = NULL;
        size_t n = 0;

        g_assert_cmpint(mm_vmflags_parse(text, strlen(text), &v, &n), ==, 0);
        g_assert_cmpuint(n, ==, 2);
        g_assert_cmphex(v[0].start, ==, 0x7f0000000000);
        g_assert_cmphex(v[0].flags, ==, MM_VM_DONTDUMP);
        g_assert_cmphex(v[1].start, ==, 0x7f0000001000);
        g_assert_cmphex(v[1].flags, ==, MM_VM_LOCKED);
}

/* Each of a child's areas is marked in one way; a hole behind each keeps it apart. */
static const struct {
        int advice; /* 0: none */
        bool lock, file;
        uint32_t flags;
} kinds[] = {
        { .flags = 0 },
        { .advice = MADV_DONTDUMP, .flags = MM_VM_DONTDUMP },
        { .advice = MADV_WIPEONFORK, .flags = MM_VM_WIPEONFORK },
        { .advice = MADV_MERGEABLE, .flags = MM_VM_MERGEABLE },
        { .lock = true, .flags = MM_VM_LOCKED },
        { .advice = MADV_DONTDUMP, .lock = true, .flags = MM_VM_DONTDUMP | MM_VM_LOCKED },
        { .file = true, .flags = 0 },
        { .advice = MADV_DONTDUMP, .file = true, .flags = MM_VM_DONTDUMP },
};

struct marks {
        char *place; /* reserved before the fork */
        size_t page;
        const char *path;
};

static void mark(void *userdata)
{
        const struct marks *m = userdata;
        int fd = open(m->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0 || ftruncate(fd, (off_t) m->page) < 0)
                _exit(1);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                char *at = m->place + 2 * i * m->page;

                if (mmap(at, m->page, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_FIXED | (kinds[i].file ? 0 : MAP_ANONYMOUS),
                         kinds[i].file ? fd : -1, 0) == MAP_FAILED)
                        _exit(1);
                *at = 1;
                /* AddressSanitizer makes nothing of mlock(). */
                if ((kinds[i].lock && syscall(SYS_mlock, at, m->page) < 0) ||
                    (kinds[i].advice != 0 && madvise(at, m->page, kinds[i].advice) < 0))
                        _exit(1);
        }
}

static void test_child(void)
{
        size_t page = (size_t) sysconf(_SC_PAGESIZE), size = 2 * ELEMENTSOF(kinds) * page, n = 0;
        _cleanup_(freep) struct mm_vmflags *v = NULL, *untouched = NULL;
        char *tree = tree_new();
        g_autofree char *path = g_build_filename(tree, "a\nVmFlags: mg lo\nb", NULL), *directory = NULL;
        struct marks m = { .page = page, .path = path };
        pid_t pid;
        int fd;

        m.place = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        g_assert_true(m.place != MAP_FAILED);
        pid = child_start(mark, &m);
        directory = g_strdup_printf("/proc/%d", pid);
        fd = tree_open(directory);

        g_assert_cmpint(mm_vmflags_read(fd, &v, &n), ==, 0);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                uint64_t start = (uintptr_t) m.place + 2 * i * page;

                g_test_message("%zu", i);
                g_assert_cmphex(mm_vmflags_of(v, n, start, start + page), ==, kinds[i].flags);
                g_assert_cmphex(mm_vmflags_of(v, n, start + page, start + 2 * page), ==, 0);
        }

        /* A zombie has no memory, what was waited for not even a directory. */
        child_make_zombie(pid);
        g_assert_cmpint(mm_vmflags_read(fd, &untouched, &n), ==, -ESRCH);
        child_kill(pid);
        g_assert_cmpint(mm_vmflags_read(fd, &untouched, &n), ==, -ESRCH);
        g_assert_null(untouched);

        safe_close(fd);
        g_assert_cmpint(munmap(m.place, size), ==, 0);
        tree_free(tree);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/vmflags/parse", test_parse);
        g_test_add_func("/vmflags/of", test_of);
        g_test_add_func("/vmflags/bad", test_bad);
        g_test_add_func("/vmflags/newline", test_newline);
        g_test_add_func("/vmflags/read", test_read);
        g_test_add_func("/vmflags/child", test_child);
        return g_test_run();
}
