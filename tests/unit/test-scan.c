/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scans of real processes whose memory is known page by page. */
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "scan-child.h"

static int count_mappings(void *userdata, uint32_t frame, uint64_t *ret)
{
        struct scan_fixture *f = userdata;

        return mm_kpage_count(&f->scan.kpage, frame, ret);
}

static size_t sum_savings(struct scan_fixture *f, bool zero_is_free)
{
        struct mm_group g;
        size_t i = 0, saving = 0;

        mm_records_sort(f->records);
        while ((i = mm_group_next(f->records, i, count_mappings, f, &g)) > 0)
                saving += mm_group_saving(&g, 256, zero_is_free);
        return saving;
}

/* The layout, by page:
 *   0 -  9  unique, the child's own
 *  10 - 21  three contents, four pages each
 *  22 - 26  zeros, written
 *  27 - 32  never written, read: the kernel's page of zeros
 *  33 - 39  never touched
 *  40 - 47  shared with us by fork, unique
 *  48 - 49  shared with us by fork, equal
 *  50 - 54  shared with us by fork, then unmapped by us: the child's alone
 *  55       equal to 0
 *  70       unique, behind a gap */
enum { LAYOUT_PAGES = 80, LAYOUT_LOOKED = 10 + 12 + 5 + 8 + 2 + 5 + 1 + 1 };

static void layout_before(uint8_t *m)
{
        for (uint64_t i = 40; i < 48; i++)
                fill(m + i * PAGE, i + 1);
        fill(m + 48 * PAGE, 49);
        fill(m + 49 * PAGE, 49);
        for (uint64_t i = 50; i < 55; i++)
                fill(m + i * PAGE, i + 1);
}

static void layout_child(uint8_t *m)
{
        for (uint64_t i = 0; i < 10; i++)
                fill(m + i * PAGE, i + 1);
        for (uint64_t i = 10; i < 22; i++)
                fill(m + i * PAGE, 1000 + i % 3);
        for (uint64_t i = 22; i < 27; i++)
                m[i * PAGE] = 0;
        for (uint64_t i = 27; i < 33; i++)
                (void)*(volatile uint8_t *)(m + i * PAGE);
        fill(m + 55 * PAGE, 1);
        fill(m + 70 * PAGE, 71);
}

/* What page @i of the layout holds, 0 for zeros. */
static uint64_t layout_number(uint64_t i)
{
        if (i >= 10 && i < 22)
                return 1000 + i % 3;
        if (i >= 22 && i < 27)
                return 0;
        if (i == 49)
                return 49;
        return i == 55 ? 1 : i + 1;
}

static uint8_t *layout_start(struct scan_child *ret_child)
{
        uint8_t *m = map_pages(LAYOUT_PAGES, 0);

        layout_before(m);
        *ret_child = scan_child_start(m, layout_child, NULL);
        g_assert_cmpint(madvise(m + 50 * PAGE, 5 * PAGE, MADV_DONTNEED), ==, 0);
        return m;
}

static void check_layout_records(struct scan_fixture *f, const uint8_t *m, uint64_t owner, size_t from)
{
        const struct mm_record *items = mm_records_items(f->records) + from;

        for (size_t i = 0; i < LAYOUT_LOOKED; i++) {
                uint64_t page = items[i].page - (uintptr_t)m / PAGE, number = layout_number(page);
                bool shared = page >= 40 && page < 50;

                g_assert_cmphex(items[i].key, ==, key_of(number, owner));
                g_assert_cmphex(items[i].flags, ==,
                                (number == 0 ? MM_RECORD_ZERO : 0) | (shared ? 0 : MM_RECORD_EXCLUSIVE));
                g_assert_cmpint(items[i].frame != 0, ==, frames_known());
                g_assert_cmpuint(items[i].target, ==, 3);
                if (i > 0)
                        g_assert_cmpuint(items[i].page, !=, items[i - 1].page);
        }
}

static void test_layout(const void *data)
{
        struct mm_scan_target t;
        struct scan_fixture f;
        struct scan_child c;
        uint8_t *m = layout_start(&c);

        scan_fixture_start(&f, 1 << 20);
        g_assert_cmpint(mm_scan_target_open(c.dir_fd, 3, DOMAIN, &t), ==, 0);
        if (!data)
                mm_pagemap_forget_scan(t.pagemap);
        g_assert_cmpint(scan_target(&f, &t, 5, m, LAYOUT_PAGES), ==, 0);
        mm_scan_target_done(&t);

        g_assert_cmpuint(f.scan.n_swapped, ==, 0);
        g_assert_cmpuint(f.scan.n_ksm, ==, 0);
        g_assert_cmpuint(f.scan.n_too_sparse, ==, 0);
        if (frames_known()) {
                g_assert_cmpuint(f.scan.n_looked, ==, LAYOUT_LOOKED);
                g_assert_cmpuint(f.scan.n_read, ==, LAYOUT_LOOKED);
                g_assert_cmpuint(mm_records_count(f.records), ==, LAYOUT_LOOKED);
                check_layout_records(&f, m, 5, 0);
                /* Three of each four; page 55 against 0; the frames of 48 and 49 are ours too. */
                g_assert_cmpuint(sum_savings(&f, false), ==, 3 * 3 + 1 + 4);
                g_assert_cmpuint(sum_savings(&f, true), ==, 3 * 3 + 1 + 5);
        } else
                /* Nobody tells which page is the kernel's page of zeros, nor what would be freed. */
                g_assert_cmpuint(sum_savings(&f, true), ==, 0);

        scan_fixture_done(&f);
        scan_child_stop(&c);
        munmap(m, LAYOUT_PAGES * PAGE);
}

static size_t count_shared(const struct scan_child *c, uint8_t *m)
{
        struct mm_pagemap *theirs, *ours;
        uint64_t a[LAYOUT_PAGES], b[LAYOUT_PAGES];
        size_t n = 0;
        int self_fd;

        self_fd = openat(scan_proc_fd, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(mm_pagemap_open(self_fd, &ours), ==, 0);
        g_assert_cmpint(mm_pagemap_open(c->dir_fd, &theirs), ==, 0);
        g_assert_cmpint(mm_pagemap_read(ours, (uintptr_t)m, a, LAYOUT_PAGES), ==, LAYOUT_PAGES);
        g_assert_cmpint(mm_pagemap_read(theirs, (uintptr_t)m, b, LAYOUT_PAGES), ==, LAYOUT_PAGES);
        for (size_t i = 0; i < LAYOUT_PAGES; i++)
                if (a[i] == b[i] && a[i] != 0)
                        n++;
        mm_pagemap_free(ours);
        mm_pagemap_free(theirs);
        close(self_fd);
        return n;
}

/* Looking changes nothing: the words of pagemap, frames and all, are what they were. */
static void test_sharing_kept(void)
{
        struct mm_pagemap *pm;
        struct scan_fixture f;
        struct scan_child c;
        uint8_t *m = layout_start(&c);
        uint64_t before[LAYOUT_PAGES], after[LAYOUT_PAGES];

        scan_fixture_start(&f, 1 << 20);
        g_assert_cmpint(mm_pagemap_open(c.dir_fd, &pm), ==, 0);
        g_assert_cmpint(mm_pagemap_read(pm, (uintptr_t)m, before, LAYOUT_PAGES), ==, LAYOUT_PAGES);
        g_assert_cmpuint(count_shared(&c, m), ==, 10);
        for (int i = 0; i < 3; i++)
                g_assert_cmpint(scan_pages(&f, c.dir_fd, 3, 5, m, LAYOUT_PAGES), ==, 0);
        g_assert_cmpint(mm_pagemap_read(pm, (uintptr_t)m, after, LAYOUT_PAGES), ==, LAYOUT_PAGES);
        g_assert_cmpmem(before, sizeof(before), after, sizeof(after));
        g_assert_cmpuint(count_shared(&c, m), ==, 10);

        mm_pagemap_free(pm);
        scan_fixture_done(&f);
        scan_child_stop(&c);
        munmap(m, LAYOUT_PAGES * PAGE);
}

/* A frame that several have is read once, and has the right key for each owner. */
static void test_each_frame_once(void)
{
        enum { N = 3000 };
        uint8_t *m = map_pages(N, 0);
        struct scan_fixture f;
        struct scan_child c[3];
        const struct mm_record *items;

        for (uint64_t i = 0; i < N; i++)
                fill(m + i * PAGE, i);
        for (size_t i = 0; i < G_N_ELEMENTS(c); i++)
                c[i] = scan_child_start(m, NULL, NULL);

        scan_fixture_start(&f, 4 << 20);
        for (uint32_t i = 0; i < G_N_ELEMENTS(c); i++)
                g_assert_cmpint(scan_pages(&f, c[i].dir_fd, i, i / 2, m, N), ==, 0);
        g_assert_cmpuint(f.scan.n_looked, ==, 3 * N);
        g_assert_cmpuint(f.scan.n_read, ==, frames_known() ? N : 3 * N);
        g_assert_cmpuint(mm_records_count(f.records), ==, 3 * N);

        mm_records_sort_by_place(f.records);
        items = mm_records_items(f.records);
        for (uint64_t i = 0; i < 3 * N; i++) {
                g_assert_cmpuint(items[i].target, ==, i / N);
                g_assert_cmpuint(items[i].page, ==, (uintptr_t)m / PAGE + i % N);
                g_assert_cmphex(items[i].key, ==, key_of(i % N, i / N / 2));
                g_assert_cmphex(items[i].flags, ==, i % N == 0 ? MM_RECORD_ZERO : 0);
                g_assert_cmpuint(items[i].frame, ==, items[i % N].frame);
        }
        g_assert_cmpuint(sum_savings(&f, false), ==, 0);

        scan_fixture_done(&f);
        for (size_t i = 0; i < G_N_ELEMENTS(c); i++)
                scan_child_stop(&c[i]);
        munmap(m, N * PAGE);
}

/* Flags of frames, from a table of our own making instead of /proc/kpageflags. */
static void test_frame_flags(void)
{
        enum { N = 300 };
        uint8_t *m = map_pages(N, 0);
        struct mm_pagemap *pm;
        struct scan_fixture f;
        struct scan_child c;
        uint64_t words[N];
        int fd;

        for (uint64_t i = 0; i < N; i++)
                fill(m + i * PAGE, i + 1);
        c = scan_child_start(m, NULL, NULL);
        scan_fixture_start(&f, 4 << 20);

        fd = memfd_create("kpageflags", MFD_CLOEXEC);
        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(mm_pagemap_open(c.dir_fd, &pm), ==, 0);
        g_assert_cmpint(mm_pagemap_read(pm, (uintptr_t)m, words, N), ==, N);
        mm_pagemap_free(pm);
        for (size_t i = 0; i < N; i++) {
                static const uint64_t flags[] = { UINT64_C(1) << KPF_KSM, UINT64_C(1) << KPF_ZERO_PAGE, 0 };
                off_t offset = (off_t)mm_pagemap_decode(words[i], 0, 0).frame * 8;

                g_assert_cmpint(pwrite(fd, &flags[i % 3], 8, offset), ==, 8);
        }
        g_assert_cmpint(dup2(fd, f.scan.kpage.flags_fd), ==, f.scan.kpage.flags_fd);
        close(fd);

        /* The second mapping of a frame has it from the first. */
        g_assert_cmpint(scan_pages(&f, c.dir_fd, 0, 0, m, N), ==, 0);
        g_assert_cmpint(scan_pages(&f, c.dir_fd, 1, 0, m, N), ==, 0);
        if (frames_known()) {
                const struct mm_record *items;

                g_assert_cmpuint(f.scan.n_ksm, ==, 2 * N / 3);
                g_assert_cmpuint(f.scan.n_looked, ==, 4 * N / 3);
                g_assert_cmpuint(f.scan.n_read, ==, 2 * N / 3);
                g_assert_cmpuint(mm_records_count(f.records), ==, 4 * N / 3);
                mm_records_sort_by_place(f.records);
                items = mm_records_items(f.records);
                for (size_t i = 0; i < 4 * N / 3; i++)
                        g_assert_cmphex(items[i].flags, ==, i % 2 == 0 ? MM_RECORD_KSM : 0);
        } else {
                g_assert_cmpuint(f.scan.n_ksm, ==, 0);
                g_assert_cmpuint(f.scan.n_looked, ==, 2 * N);
        }

        scan_fixture_done(&f);
        scan_child_stop(&c);
        munmap(m, N * PAGE);
}

/* Each content falls into one part of the hash, whoever has it, and none into two. */
static void test_parts(void)
{
        enum { N = 400, PARTS = 4 };
        uint8_t *m = map_pages(N, 0);
        struct scan_fixture f;
        struct scan_child c;
        unsigned part_of[N / 2] = {};
        size_t n_kept = 0;

        for (uint64_t i = 0; i < N; i++)
                fill(m + i * PAGE, i % (N / 2) + 1);
        c = scan_child_start(m, NULL, NULL);
        scan_fixture_start(&f, 1 << 20);
        f.scan.n_parts = PARTS;
        for (uint32_t part = 0; part < PARTS; part++) {
                f.scan.part = part;
                mm_records_clear(f.records);
                g_assert_cmpint(scan_pages(&f, c.dir_fd, 0, 1, m, N / 2), ==, 0);
                g_assert_cmpint(scan_pages(&f, c.dir_fd, 0, 2, m + N / 2 * PAGE, N / 2), ==, 0);
                g_assert_cmpuint(mm_records_count(f.records), >, 0);
                n_kept += mm_records_count(f.records);
                for (size_t i = 0; i < mm_records_count(f.records); i++) {
                        uint64_t page = mm_records_items(f.records)[i].page - (uintptr_t)m / PAGE;

                        g_assert_true(part_of[page % (N / 2)] == 0 || part_of[page % (N / 2)] == part + 1);
                        part_of[page % (N / 2)] = part + 1;
                }
        }
        g_assert_cmpuint(n_kept, ==, N);
        g_assert_cmpuint(f.scan.n_looked, ==, PARTS * N);

        scan_fixture_done(&f);
        scan_child_stop(&c);
        munmap(m, N * PAGE);
}

static void test_full(void)
{
        enum { N = 700, ROOM = 100 };
        uint8_t *m = map_pages(N, 0);
        struct scan_fixture f;
        struct scan_child c;
        size_t n;

        for (uint64_t i = 0; i < N; i++)
                fill(m + i * PAGE, i + 1);
        c = scan_child_start(m, NULL, NULL);
        scan_fixture_start(&f, ROOM * sizeof(struct mm_record));
        g_assert_cmpint(scan_pages(&f, c.dir_fd, 0, 0, m, N), ==, -ENOBUFS);
        n = mm_records_count(f.records);
        g_assert_cmpuint(n, >=, ROOM - 5);
        g_assert_cmpuint(n, <=, ROOM);
        g_assert_cmpuint(f.scan.n_looked, ==, N);

        /* With room again it goes on. */
        mm_records_clear(f.records);
        g_assert_cmpint(scan_pages(&f, c.dir_fd, 0, 0, m, n), ==, 0);
        g_assert_cmpuint(mm_records_count(f.records), ==, n);

        scan_fixture_done(&f);
        scan_child_stop(&c);
        munmap(m, N * PAGE);
}

struct ticker {
        unsigned n, stop_at;
        int answer;
};

static int tick(void *userdata)
{
        struct ticker *t = userdata;

        return ++t->n == t->stop_at ? t->answer : 0;
}

static void test_tick(void)
{
        enum { N = 20000 };
        uint8_t *m = map_pages(N, 0);
        struct ticker ticker = { .answer = -ECANCELED };
        struct mm_scan_target t;
        struct scan_fixture f;
        struct scan_child c;
        uint64_t start = (uintptr_t)m, end = start + (uint64_t)N * PAGE;

        memset(m, 1, (size_t)N * PAGE);
        c = scan_child_start(m, NULL, NULL);
        scan_fixture_start(&f, 4 << 20);
        g_assert_cmpint(mm_scan_target_open(c.dir_fd, 0, DOMAIN, &t), ==, 0);

        g_assert_cmpint(mm_scan_range(&f.scan, &t, start, end, 0, false, tick, &ticker), ==, 0);
        g_assert_cmpuint(ticker.n, >=, N / 4000);
        g_assert_cmpuint(f.scan.n_looked, ==, N);

        ticker.n = f.scan.n_looked = 0;
        ticker.stop_at = 3;
        mm_records_clear(f.records);
        g_assert_cmpint(mm_scan_range(&f.scan, &t, start, end, 0, false, tick, &ticker), ==, -ECANCELED);
        g_assert_cmpuint(ticker.n, ==, 3);
        g_assert_cmpuint(f.scan.n_looked, <=, 3 * 4000);
        g_assert_cmpuint(mm_records_count(f.records), ==, f.scan.n_looked);

        mm_scan_target_done(&t);
        scan_fixture_done(&f);
        scan_child_stop(&c);
        munmap(m, (size_t)N * PAGE);
}

/* Only pages that were written are private in a private mapping of a file. */
static void test_file_area(void)
{
        struct mm_scan_target t;
        struct scan_fixture f;
        struct scan_child c;
        uint8_t bytes[8 * PAGE], *m;
        uint64_t start;
        int fd, r;

        for (size_t i = 0; i < 8; i++)
                fill(bytes + i * PAGE, i + 1);
        fd = memfd_create("test-scan", MFD_CLOEXEC);
        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(write(fd, bytes, sizeof(bytes)), ==, sizeof(bytes));
        m = mmap(NULL, sizeof(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        g_assert_true(m != MAP_FAILED);
        close(fd);
        g_assert_cmpmem(m, sizeof(bytes), bytes, sizeof(bytes));
        /* Written with what was there: private all the same. */
        *(volatile uint8_t *)(m + 3 * PAGE) = m[3 * PAGE];
        fill(m + 6 * PAGE, 70);
        c = scan_child_start(m, NULL, NULL);

        scan_fixture_start(&f, 1 << 20);
        g_assert_cmpint(mm_scan_target_open(c.dir_fd, 0, DOMAIN, &t), ==, 0);
        start = (uintptr_t)m;
        r = mm_scan_range(&f.scan, &t, start, start + sizeof(bytes), 0, true, NULL, NULL);
        g_assert_cmpint(r, ==, 0);
        g_assert_cmpuint(mm_records_count(f.records), ==, 2);
        for (size_t i = 0; i < 2; i++) {
                const struct mm_record *record = &mm_records_items(f.records)[i];

                g_assert_cmphex(record->flags, ==, MM_RECORD_FILE_AREA);
                g_assert_cmphex(record->key, ==, i == 0 ? key_of(4, 0) : key_of(70, 0));
        }
        g_assert_cmpuint(f.scan.n_looked, ==, 2);

        mm_scan_target_done(&t);
        scan_fixture_done(&f);
        scan_child_stop(&c);
        munmap(m, sizeof(bytes));
}

/* A reservation of 32 TiB is given up in reasonable time where its pages cannot be asked for. */
static void test_sparse(void)
{
        const uint64_t n = UINT64_C(32) << 40 >> 12;
        uint8_t *m = map_pages(n, MAP_NORESERVE);
        uint64_t start = (uintptr_t)m;
        struct ticker ticker = {};
        struct mm_scan_target t;
        struct scan_fixture f;
        struct scan_child c;
        int r;

        fill(m + 5 * PAGE, 1);
        fill(m + (UINT64_C(200) << 30), 2);
        fill(m + (UINT64_C(400) << 30), 3);
        fill(m + (UINT64_C(20) << 40), 4);
        c = scan_child_start(m, NULL, NULL);
        scan_fixture_start(&f, 1 << 20);
        g_assert_cmpint(mm_scan_target_open(c.dir_fd, 0, DOMAIN, &t), ==, 0);
        mm_pagemap_forget_scan(t.pagemap);
        r = mm_scan_range(&f.scan, &t, start, start + n * PAGE, 0, false, tick, &ticker);
        g_assert_cmpint(r, ==, 0);
        g_assert_cmpuint(f.scan.n_too_sparse, ==, 1);
        g_assert_cmpuint(f.scan.n_looked, ==, 3);
        g_assert_cmpuint(ticker.n, >, 600 / 4);

        mm_scan_target_done(&t);
        scan_fixture_done(&f);
        scan_child_stop(&c);
        munmap(m, n * PAGE);
}

static void add_both(const char *name, GTestDataFunc func)
{
        g_autofree char *scan = g_strdup_printf("/scan/%s/scan", name);
        g_autofree char *read = g_strdup_printf("/scan/%s/read", name);

        g_test_add_data_func(scan, "", func);
        g_test_add_data_func(read, NULL, func);
}

static void read_four(uint8_t *memory)
{
        for (size_t i = 0; i < 4; i++)
                (void)*(volatile uint8_t *)(memory + i * PAGE);
}

/* Memory that is not private looks like mergemod's frames do: to the scan only the place tells. */
static void test_direct(void)
{
        enum { N = 4 };
        uint8_t *m = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct mm_scan_target t;
        struct scan_fixture f;
        struct scan_child c;
        uint64_t start = (uintptr_t)m;

        g_assert_true(m != MAP_FAILED);
        for (uint64_t i = 0; i < N; i++)
                fill(m + i * PAGE, i + 1);
        c = scan_child_start(m, read_four, NULL);

        scan_fixture_start(&f, 1 << 20);
        f.scan.direct = true;
        g_assert_cmpint(mm_scan_target_open(c.dir_fd, 0, DOMAIN, &t), ==, 0);
        g_assert_cmpint(mm_scan_range(&f.scan, &t, start, start + N * PAGE, 0, true, NULL, NULL), ==, 0);
        g_assert_cmpuint(mm_records_count(f.records), ==, 0);
        g_assert_cmpint(mm_scan_range(&f.scan, &t, start, start + N * PAGE, 0, false, NULL, NULL), ==, 0);
        mm_scan_target_done(&t);
        if (frames_known()) {
                g_assert_cmpuint(f.scan.n_ksm, ==, N);
                g_assert_cmpuint(mm_records_count(f.records), ==, N);
                for (size_t i = 0; i < mm_records_count(f.records); i++)
                        g_assert_cmphex(mm_records_items(f.records)[i].flags & MM_RECORD_KSM, !=, 0);
        }
        scan_fixture_done(&f);
        scan_child_stop(&c);
        munmap(m, N * PAGE);
}

int main(int argc, char *argv[])
{
        int r;

        g_test_init(&argc, &argv, NULL);
        scan_proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(scan_proc_fd, >=, 0);

        add_both("layout", test_layout);
        g_test_add_func("/scan/sharing-kept", test_sharing_kept);
        g_test_add_func("/scan/each-frame-once", test_each_frame_once);
        g_test_add_func("/scan/frame-flags", test_frame_flags);
        g_test_add_func("/scan/parts", test_parts);
        g_test_add_func("/scan/full", test_full);
        g_test_add_func("/scan/tick", test_tick);
        g_test_add_func("/scan/file-area", test_file_area);
        g_test_add_func("/scan/direct", test_direct);
        g_test_add_func("/scan/sparse", test_sparse);
        r = g_test_run();
        close(scan_proc_fd);
        return r;
}
