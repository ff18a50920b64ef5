/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words of pagemap, walks over our own memory, and tables of frames. */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <linux/kernel-page-flags.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "lib/hash.h"
#include "lib/kpage.h"

#define BIT(n) (UINT64_C(1) << (n))
#define PAGE MM_PAGE_SIZE

static int self_fd = -EBADF;

static void test_decode(void)
{
        static const struct {
                uint64_t word, zero_frame;
                struct mm_page page;
        } table[] = {
                { 0, 0, {} },
                { BIT(63) | BIT(56) | 0x1234, 0, { 0, 0x1234, MM_PAGE_PRESENT | MM_PAGE_EXCLUSIVE } },
                { BIT(63) | 0x1234, 0x1235, { 0, 0x1234, MM_PAGE_PRESENT } },
                { BIT(63) | BIT(61) | 7, 0, { 0, 7, MM_PAGE_PRESENT | MM_PAGE_FILE } },
                { BIT(63) | 0x1235, 0x1235, { 0, 0x1235, MM_PAGE_PRESENT | MM_PAGE_ZERO } },
                /* No frame is told: none of them is the page of zeros. */
                { BIT(63) | BIT(56), 0, { 0, 0, MM_PAGE_PRESENT | MM_PAGE_EXCLUSIVE } },
                /* Where a swapped page lies is no frame. */
                { BIT(62) | 0x123445, 0x123445, { 0, 0, MM_PAGE_SWAPPED } },
                { BIT(62) | BIT(61) | 21, 0, { 0, 0, MM_PAGE_SWAPPED | MM_PAGE_FILE } },
                /* No swap device has so high a number: markers of the kernel's, pages on the move. */
                { BIT(62) | 22, 0, {} },
                { BIT(62) | BIT(58) | 31, 0, {} },
                /* Soft-dirty and write-protect tell nothing here; frames have 55 bits. */
                { BIT(63) | BIT(55) | BIT(57) | (BIT(55) - 1), 0, { 0, BIT(55) - 1, MM_PAGE_PRESENT } },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
                uint64_t address = 0x7000 + i * PAGE;
                struct mm_page page = mm_pagemap_decode(table[i].word, address, table[i].zero_frame);

                g_assert_cmphex(page.address, ==, address);
                g_assert_cmphex(page.frame, ==, table[i].page.frame);
                g_assert_cmphex(page.flags, ==, table[i].page.flags);
        }
}

static struct mm_pagemap *open_pagemap(bool scan)
{
        struct mm_pagemap *pm;

        g_assert_cmpint(mm_pagemap_open(self_fd, &pm), ==, 0);
        if (!scan)
                mm_pagemap_forget_scan(pm);
        return pm;
}

/* Whether this kernel has PAGEMAP_SCAN, from its version and not from our own probe. */
static bool kernel_scans(void)
{
        struct utsname u;
        unsigned major, minor;

        g_assert_cmpint(uname(&u), ==, 0);
        g_assert_cmpint(sscanf(u.release, "%u.%u", &major, &minor), ==, 2);
        return major > 6 || (major == 6 && minor >= 7);
}

static uint8_t *map_pages(uint64_t n, int flags)
{
        int map_flags = MAP_PRIVATE | MAP_ANONYMOUS | flags;
        uint8_t *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, map_flags, -1, 0);

        g_assert_true(p != MAP_FAILED);
        g_assert_cmpint(madvise(p, n * PAGE, MADV_NOHUGEPAGE), ==, 0);
        return p;
}

/* Frame behind our own page, read without the library; 0 if we may not know. */
static uint64_t own_frame(const void *p)
{
        uint64_t word;
        int fd;

        fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(pread(fd, &word, sizeof(word), (off_t)((uintptr_t)p / PAGE * 8)), ==, 8);
        close(fd);
        g_assert_true(word & BIT(63));
        return word & (BIT(55) - 1);
}

static pid_t fork_idle(void)
{
        pid_t pid = fork();

        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        return pid;
}

struct found {
        GArray *pages;
        size_t n_calls, n_slices;
        int answer;
};

static int collect(void *userdata, const struct mm_page *pages, size_t n)
{
        struct found *f = userdata;

        g_assert_cmpuint(n, >, 0);
        g_assert_cmpuint(n, <=, MM_PAGES_CHUNK);
        g_array_append_vals(f->pages, pages, n);
        f->n_calls++;
        return f->answer;
}

static GArray *walk(struct mm_pagemap *pm, const uint8_t *start, uint64_t n)
{
        struct found f = { .pages = g_array_new(false, false, sizeof(struct mm_page)) };
        uint64_t from = (uintptr_t)start;

        g_assert_cmpint(mm_pages_walk(pm, from, from + n * PAGE, 0, collect, &f, NULL), ==, 0);
        return f.pages;
}

static void check_pages(const GArray *found, const uint8_t *base, const uint64_t *expected, size_t n)
{
        g_assert_cmpuint(found->len, ==, n);
        for (size_t i = 0; i < n; i++) {
                const struct mm_page *page = &g_array_index(found, struct mm_page, i);

                g_assert_cmphex(page->address, ==, (uintptr_t)base + expected[i] * PAGE);
        }
}

static void test_walk(const void *data)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pm = open_pagemap(data != NULL);
        enum { N = 5000 };
        uint8_t *p = map_pages(N, 0);
        g_autoptr(GArray) found = NULL, part = NULL, none = NULL;
        uint64_t expected[N];
        size_t n = 0, n_part = 0;

        none = walk(pm, p, N);
        g_assert_cmpuint(none->len, ==, 0);

        /* A run over several chunks, single pages, pairs, and the last one. */
        for (uint64_t i = 0; i < N; i++)
                if ((i >= 100 && i < 1400) || (i > 2000 && i % 17 == 0) || (i > 3000 && i % 64 < 2) ||
                    i == N - 1) {
                        p[i * PAGE] = 1;
                        expected[n++] = i;
                }

        found = walk(pm, p, N);
        check_pages(found, p, expected, n);
        for (size_t i = 0; i < n; i++) {
                const struct mm_page *page = &g_array_index(found, struct mm_page, i);

                g_assert_cmphex(page->flags, ==, MM_PAGE_PRESENT | MM_PAGE_EXCLUSIVE);
                g_assert_cmphex(page->frame, ==, own_frame(p + expected[i] * PAGE));
        }

        part = walk(pm, p + 150 * PAGE, 2000);
        for (size_t i = 0; i < n; i++)
                if (expected[i] >= 150 && expected[i] < 2150)
                        expected[n_part++] = expected[i];
        check_pages(part, p, expected, n_part);

        munmap(p, N * PAGE);
}

static void test_kinds(const void *data)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pm = open_pagemap(data != NULL);
        uint8_t *anon = map_pages(4, 0), *shared, *file;
        g_autoptr(GArray) in_anon = NULL, in_shared = NULL, in_file = NULL;
        const struct mm_page *pages;
        uint8_t byte[2 * PAGE] = { 1 };
        bool zero_told;
        int fd;

        /* Written; only read, which is the kernel's page of zeros; read, then written; not touched. */
        anon[0] = 1;
        (void)*(volatile uint8_t *)(anon + PAGE);
        (void)*(volatile uint8_t *)(anon + 2 * PAGE);
        anon[2 * PAGE] = 1;
        in_anon = walk(pm, anon, 4);
        pages = (const struct mm_page *)in_anon->data;
        check_pages(in_anon, anon, (uint64_t[]){ 0, 1, 2 }, 3);
        g_assert_cmphex(pages[0].flags, ==, MM_PAGE_PRESENT | MM_PAGE_EXCLUSIVE);
        zero_told = (data && kernel_scans()) || mm_zero_frame() > 0;
        g_assert_cmphex(pages[1].flags & ~MM_PAGE_EXCLUSIVE, ==,
                        MM_PAGE_PRESENT | (zero_told ? MM_PAGE_ZERO : 0));
        g_assert_cmphex(pages[2].flags, ==, MM_PAGE_PRESENT | MM_PAGE_EXCLUSIVE);

        shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        g_assert_true(shared != MAP_FAILED);
        shared[0] = 1;
        in_shared = walk(pm, shared, 1);
        check_pages(in_shared, shared, (uint64_t[]){ 0 }, 1);
        g_assert_cmphex(g_array_index(in_shared, struct mm_page, 0).flags, ==,
                        MM_PAGE_PRESENT | MM_PAGE_FILE | MM_PAGE_EXCLUSIVE);

        /* A private mapping of a file: the page cache's until it is written. */
        fd = memfd_create("test-pages", MFD_CLOEXEC);
        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(write(fd, byte, sizeof(byte)), ==, sizeof(byte));
        file = mmap(NULL, sizeof(byte), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        g_assert_true(file != MAP_FAILED);
        (void)*(volatile uint8_t *)file;
        file[PAGE] = 2;
        in_file = walk(pm, file, 2);
        check_pages(in_file, file, (uint64_t[]){ 0, 1 }, 2);
        pages = (const struct mm_page *)in_file->data;
        g_assert_cmphex(pages[0].flags & ~MM_PAGE_EXCLUSIVE, ==, MM_PAGE_PRESENT | MM_PAGE_FILE);
        g_assert_cmphex(pages[1].flags, ==, MM_PAGE_PRESENT | MM_PAGE_EXCLUSIVE);

        close(fd);
        munmap(anon, 4 * PAGE);
        munmap(shared, PAGE);
        munmap(file, sizeof(byte));
}

/* What is mapped by a child too is not exclusive, until one of the two writes. */
static void test_fork(const void *data)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pm = open_pagemap(data != NULL);
        uint8_t *p = map_pages(2, 0);
        g_autoptr(GArray) found = NULL;
        const struct mm_page *pages;
        pid_t pid;

        p[0] = p[PAGE] = 1;
        pid = fork_idle();
        p[PAGE] = 2;

        found = walk(pm, p, 2);
        check_pages(found, p, (uint64_t[]){ 0, 1 }, 2);
        pages = (const struct mm_page *)found->data;
        g_assert_cmphex(pages[0].flags, ==, MM_PAGE_PRESENT);
        g_assert_cmphex(pages[1].flags, ==, MM_PAGE_PRESENT | MM_PAGE_EXCLUSIVE);

        if (pages[0].frame != 0) {
                _cleanup_(mm_kpage_done) struct mm_kpage k = { -EBADF, -EBADF };
                uint64_t count = 0, flags = 0;
                int proc_fd;

                proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
                mm_kpage_open(proc_fd, &k);
                close(proc_fd);
                g_assert_cmpint(mm_kpage_count(&k, pages[0].frame, &count), ==, 0);
                g_assert_cmpuint(count, ==, 2);
                g_assert_cmpint(mm_kpage_count(&k, pages[1].frame, &count), ==, 0);
                g_assert_cmpuint(count, ==, 1);
                g_assert_cmpint(mm_kpage_flags(&k, pages[0].frame, &flags, 1), ==, 1);
                g_assert_true(flags & BIT(KPF_ANON));
                g_assert_false(flags & BIT(KPF_KSM));
                g_assert_cmpint(mm_kpage_flags(&k, mm_zero_frame(), &flags, 1), ==, 1);
                g_assert_true(flags & BIT(KPF_ZERO_PAGE));
        }

        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        munmap(p, 2 * PAGE);
}

static void test_arguments(const void *data)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pm = open_pagemap(data != NULL);
        struct found f = { .pages = g_array_new(false, false, sizeof(struct mm_page)), .answer = 17 };
        uint8_t *p = map_pages(2000, 0);
        uintptr_t start = (uintptr_t)p, end = start + 2000 * PAGE;

        memset(p, 1, 2000 * PAGE);
        g_assert_cmpint(mm_pages_walk(pm, start + 1, end, 0, collect, &f, NULL), ==, -EINVAL);
        g_assert_cmpint(mm_pages_walk(pm, start, end - 1, 0, collect, &f, NULL), ==, -EINVAL);
        g_assert_cmpint(mm_pages_walk(pm, end, start, 0, collect, &f, NULL), ==, -EINVAL);
        g_assert_cmpint(mm_pages_walk(pm, start, start, 0, collect, &f, NULL), ==, 0);
        g_assert_cmpuint(f.n_calls, ==, 0);

        /* What the callback says is the end of it. */
        g_assert_cmpint(mm_pages_walk(pm, start, end, 0, collect, &f, NULL), ==, 17);
        g_assert_cmpuint(f.n_calls, ==, 1);
        f.answer = -EXFULL;
        g_assert_cmpint(mm_pages_walk(pm, start, end, 0, collect, &f, NULL), ==, -EXFULL);
        g_assert_cmpuint(f.n_calls, ==, 2);

        g_array_unref(f.pages);
        munmap(p, 2000 * PAGE);
}

static void test_budget(void)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pm = open_pagemap(false);
        struct found f = { .pages = g_array_new(false, false, sizeof(struct mm_page)) };
        enum { N = 20000 };
        uint8_t *p = map_pages(N, 0);
        uint64_t start = (uintptr_t)p, end = start + (uint64_t)N * PAGE, next = 1;
        int n_slices = 0, r;

        for (uint64_t i = 0; i < N; i += 100)
                p[i * PAGE] = 1;

        g_assert_cmpint(mm_pages_walk(pm, start, end, N, collect, &f, &next), ==, 0);
        g_assert_cmpuint(next, ==, 1);
        g_assert_cmpuint(f.pages->len, ==, N / 100);
        g_assert_cmpint(mm_pages_walk(pm, start, end, N - 1, collect, &f, NULL), ==, -E2BIG);

        g_array_set_size(f.pages, 0);
        do {
                r = mm_pages_walk(pm, start, end, 4999, collect, &f, &next);
                g_assert_true(r == 0 || r == -E2BIG);
                g_assert_true(r == 0 || next == start + 4999 * PAGE);
                start = next;
                n_slices++;
        } while (r != 0);
        g_assert_cmpint(n_slices, ==, 5);
        g_assert_cmpuint(f.pages->len, ==, N / 100);
        for (size_t i = 0; i < f.pages->len; i++) {
                const struct mm_page *page = &g_array_index(f.pages, struct mm_page, i);

                g_assert_cmphex(page->address, ==, (uintptr_t)p + i * 100 * PAGE);
        }

        g_array_unref(f.pages);
        munmap(p, N * PAGE);
}

/* One page in 32 TiB of addresses: there is nothing to look for in the rest. */
static void test_sparse(const void *data)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pm = open_pagemap(data != NULL);
        struct found f = { .pages = g_array_new(false, false, sizeof(struct mm_page)) };
        const uint64_t n = UINT64_C(32) << 40 >> 12, budget = 1 << 20;
        uint8_t *p = map_pages(n, MAP_NORESERVE);
        uint64_t start = (uintptr_t)p, next = 0;
        gint64 before = g_get_monotonic_time();
        int r;

        p[n / 3 * PAGE] = 1;
        r = mm_pages_walk(pm, start, start + n * PAGE, budget, collect, &f, &next);
        if (data && kernel_scans()) {
                g_assert_cmpint(r, ==, 0);
                check_pages(f.pages, p, &(uint64_t){ n / 3 }, 1);
        } else {
                g_assert_cmpint(r, ==, -E2BIG);
                g_assert_cmpuint(f.pages->len, ==, 0);
                g_assert_cmphex(next, ==, start + budget * PAGE);
        }
        /* Milliseconds, really; to look at every address takes more than ten seconds. */
        g_assert_cmpint(g_get_monotonic_time() - before, <, G_USEC_PER_SEC);

        g_array_unref(f.pages);
        munmap(p, n * PAGE);
}

static int go_on(void *userdata)
{
        struct found *f = userdata;

        f->n_slices++;
        return f->answer;
}

/* However far apart they are, but that without PAGEMAP_SCAN the search ends somewhere. */
static void test_slices(const void *data)
{
        _cleanup_(mm_pagemap_freep) struct mm_pagemap *pm = open_pagemap(data != NULL);
        struct found f = { .pages = g_array_new(false, false, sizeof(struct mm_page)) };
        const uint64_t gib = UINT64_C(1) << 30, n = 600 * gib / PAGE;
        uint8_t *p = map_pages(n, MAP_NORESERVE);
        uint64_t start = (uintptr_t)p, end = start + n * PAGE, at = start;
        bool scans = data && kernel_scans(), sparse;

        p[0] = p[250 * gib] = 1;
        g_assert_cmpint(mm_pages_walk_slices(pm, &at, start + 300 * gib, collect, go_on, &f, &sparse), ==,
                        0);
        g_assert_false(sparse);
        check_pages(f.pages, p, (uint64_t[]){ 0, 250 * gib / PAGE }, 2);
        g_assert_cmpuint(f.n_slices, ==, scans ? 0 : 74);

        g_array_set_size(f.pages, 0);
        at = start;
        g_assert_cmpint(mm_pages_walk_slices(pm, &at, end, collect, NULL, &f, &sparse), ==, 0);
        g_assert_cmpint(sparse, ==, !scans);
        check_pages(f.pages, p, (uint64_t[]){ 0, 250 * gib / PAGE }, 2);
        g_assert_true(scans || at == start + 508 * gib);

        /* Either may end it. */
        f.answer = -EXFULL;
        at = start;
        g_assert_cmpint(mm_pages_walk_slices(pm, &at, end, collect, go_on, &f, &sparse), ==, -EXFULL);
        f.n_slices = 0;
        at = start + gib;
        g_assert_cmpint(mm_pages_walk_slices(pm, &at, start + 200 * gib, collect, go_on, &f, &sparse), ==,
                        scans ? 0 : -EXFULL);
        g_assert_cmpuint(f.n_slices, ==, scans ? 0 : 1);
        g_assert_true(scans || at == start + 5 * gib);

        g_array_unref(f.pages);
        munmap(p, n * PAGE);
}

static void test_gone(const void *data)
{
        struct found f = { .pages = g_array_new(false, false, sizeof(struct mm_page)) };
        uint8_t *p = map_pages(100, 0);
        struct mm_pagemap *pm, *none = NULL;
        g_autofree char *path = NULL;
        uint64_t words[3], start = (uintptr_t)p;
        int dir_fd;
        pid_t pid;

        memset(p, 1, 100 * PAGE);
        pid = fork_idle();
        path = g_strdup_printf("/proc/%d", pid);
        dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(dir_fd, >=, 0);
        g_assert_cmpint(mm_pagemap_open(dir_fd, &pm), ==, 0);
        if (!data)
                mm_pagemap_forget_scan(pm);
        g_assert_cmpint(mm_pages_walk(pm, start, start + 100 * PAGE, 0, collect, &f, NULL), ==, 0);
        g_assert_cmpuint(f.pages->len, ==, 100);
        g_assert_cmpint(mm_pagemap_read(pm, start, words, 3), ==, 3);
        g_assert_cmpint(mm_pagemap_read(pm, start, words, 0), ==, 0);

        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        g_assert_cmpint(mm_pages_walk(pm, start, start + 100 * PAGE, 0, collect, &f, NULL), ==, -ESRCH);
        g_assert_cmpuint(f.pages->len, ==, 100);
        g_assert_cmpint(mm_pagemap_read(pm, start, words, 3), ==, -ESRCH);
        g_assert_cmpint(mm_pagemap_open(dir_fd, &none), ==, -ESRCH);
        g_assert_null(none);

        mm_pagemap_free(pm);
        close(dir_fd);
        g_array_unref(f.pages);
        munmap(p, 100 * PAGE);
}

static void test_zero_frame(void)
{
        uint8_t *p = map_pages(1, 0);

        (void)*(volatile uint8_t *)p;
        g_assert_cmphex(mm_zero_frame(), ==, own_frame(p));
        munmap(p, PAGE);
}

static void test_kpage(void)
{
        static const uint64_t counts[] = { 1, 0, 77 }, flags[] = { 5, 6, 7, BIT(KPF_KSM) };
        g_autofree char *dir = g_dir_make_tmp("test-pages-XXXXXX", NULL);
        g_autofree char *count_path = g_build_filename(dir, "kpagecount", NULL);
        g_autofree char *flags_path = g_build_filename(dir, "kpageflags", NULL);
        struct mm_kpage k;
        uint64_t words[8] = {}, count = 42;
        int dir_fd;

        dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(dir_fd, >=, 0);

        mm_kpage_open(dir_fd, &k);
        g_assert_cmpint(k.count_fd, <, 0);
        g_assert_cmpint(k.flags_fd, <, 0);
        g_assert_cmpint(mm_kpage_count(&k, 0, &count), ==, -ENODATA);
        g_assert_cmpint(mm_kpage_flags(&k, 0, words, 1), ==, -ENODATA);
        mm_kpage_done(&k);

        g_assert_true(g_file_set_contents(count_path, (const char *)counts, sizeof(counts), NULL));
        g_assert_true(g_file_set_contents(flags_path, (const char *)flags, sizeof(flags), NULL));
        mm_kpage_open(dir_fd, &k);
        g_assert_cmpint(mm_kpage_count(&k, 3, &count), ==, -ENXIO);
        g_assert_cmpuint(count, ==, 42);
        g_assert_cmpint(mm_kpage_count(&k, 2, &count), ==, 0);
        g_assert_cmpuint(count, ==, 77);
        g_assert_cmpint(mm_kpage_flags(&k, 1, words, 2), ==, 2);
        g_assert_cmpuint(words[0], ==, 6);
        g_assert_cmpuint(words[1], ==, 7);
        g_assert_cmpuint(words[2], ==, 0);
        g_assert_cmpint(mm_kpage_flags(&k, 3, words, 8), ==, 1);
        g_assert_cmpuint(words[0], ==, BIT(KPF_KSM));
        g_assert_cmpint(mm_kpage_flags(&k, 4, words, 8), ==, 0);
        mm_kpage_done(&k);
        g_assert_cmpint(k.count_fd, <, 0);
        mm_kpage_done(&k);

        close(dir_fd);
        g_unlink(count_path);
        g_unlink(flags_path);
        g_rmdir(dir);
}

/* Words of frames in any order, some of which do not exist. */
static void test_kpage_of(void)
{
        enum { N_FRAMES = 3000 };
        static const uint64_t frames[] = {
                7, 8, 5, 0, 2999, 3000, 3001, 9, 1 << 20, 2000, 1990, 1995, 1, 7
        };
        g_autofree char *dir = g_dir_make_tmp("test-pages-XXXXXX", NULL);
        g_autofree char *count_path = g_build_filename(dir, "kpagecount", NULL);
        g_autofree char *flags_path = g_build_filename(dir, "kpageflags", NULL);
        struct mm_page pages[MM_PAGES_CHUNK] = {};
        uint64_t words[N_FRAMES], found[MM_PAGES_CHUNK];
        struct mm_kpage k;
        int dir_fd;

        for (uint64_t i = 0; i < N_FRAMES; i++)
                words[i] = i + 1000000;
        g_assert_true(g_file_set_contents(count_path, (const char *)words, sizeof(words), NULL));
        dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        mm_kpage_open(dir_fd, &k);
        g_assert_cmpint(mm_kpage_flags_of(&k, pages, 1, found), ==, -ENODATA);
        mm_kpage_done(&k);
        for (uint64_t i = 0; i < N_FRAMES; i++)
                words[i] = i * 2;
        g_assert_true(g_file_set_contents(flags_path, (const char *)words, sizeof(words), NULL));
        mm_kpage_open(dir_fd, &k);

        for (size_t i = 0; i < G_N_ELEMENTS(frames); i++)
                pages[i].frame = frames[i];
        g_assert_cmpint(mm_kpage_counts_of(&k, pages, G_N_ELEMENTS(frames), found), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(frames); i++)
                g_assert_cmpuint(found[i], ==,
                                 frames[i] > 0 && frames[i] < N_FRAMES ? frames[i] + 1000000 : 0);
        g_assert_cmpint(mm_kpage_flags_of(&k, pages, 0, found), ==, 0);
        for (uint64_t step = 1; step < 6; step++) {
                for (size_t i = 0; i < MM_PAGES_CHUNK; i++)
                        pages[i].frame = 2800 - i * step;
                g_assert_cmpint(mm_kpage_flags_of(&k, pages, MM_PAGES_CHUNK, found), ==, 0);
                for (size_t i = 0; i < MM_PAGES_CHUNK; i++)
                        g_assert_cmpuint(found[i], ==, pages[i].frame * 2);
        }
        mm_kpage_done(&k);
        close(dir_fd);
        g_unlink(count_path);
        g_unlink(flags_path);
        g_rmdir(dir);
}

/* With PAGEMAP_SCAN as far as the kernel has it, and without. */
static void add_both(const char *name, GTestDataFunc func)
{
        g_autofree char *scan = g_strdup_printf("/pages/%s/scan", name);
        g_autofree char *read = g_strdup_printf("/pages/%s/read", name);

        g_test_add_data_func(scan, "", func);
        g_test_add_data_func(read, NULL, func);
}

int main(int argc, char *argv[])
{
        int r;

        g_test_init(&argc, &argv, NULL);
        self_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(self_fd, >=, 0);

        g_test_add_func("/pages/decode", test_decode);
        add_both("walk", test_walk);
        add_both("kinds", test_kinds);
        add_both("fork", test_fork);
        add_both("arguments", test_arguments);
        g_test_add_func("/pages/budget", test_budget);
        add_both("sparse", test_sparse);
        add_both("slices", test_slices);
        add_both("gone", test_gone);
        g_test_add_func("/pages/zero-frame", test_zero_frame);
        g_test_add_func("/pages/kpage", test_kpage);
        g_test_add_func("/pages/kpage-of", test_kpage_of);
        r = g_test_run();
        close(self_fd);
        return r;
}
