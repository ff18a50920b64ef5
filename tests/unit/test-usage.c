/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a process uses, counted from frames, against what the kernel says of it: to the byte. */
#include <fcntl.h>
#include <glib.h>
#include <linux/kernel-page-flags.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/hash.h"
#include "lib/usage.h"
#include "test-util.h"

#define BIT(n) (UINT64_C(1) << (n))
#define PAGE MM_PAGE_SIZE
#define HUGE_PAGES 512U

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static void test_share(void)
{
        g_assert_cmpuint(mm_pss_share(1), ==, 4096 * 4096);
        g_assert_cmpuint(mm_pss_share(2), ==, 4096 * 4096 / 2);
        /* What is lost is lost for each mapping, as in the kernel. */
        g_assert_cmpuint(mm_pss_share(3), ==, 5592405);
        g_assert_cmpuint(mm_pss_share(3) * 3, ==, 4096 * 4096 - 1);
        g_assert_cmpuint(mm_pss_share(4096 * 4096), ==, 1);
        g_assert_cmpuint(mm_pss_share(UINT64_MAX), ==, 0);
        /* Not known: nobody else's. */
        g_assert_cmpuint(mm_pss_share(0), ==, 4096 * 4096);
}

static void test_kind(void)
{
        static const struct mm_area anon = { .kind = MM_AREA_ANON },
                                    heap = { .kind = MM_AREA_HEAP },
                                    file = { .kind = MM_AREA_FILE },
                                    special = { .kind = MM_AREA_SPECIAL },
                                    shared = { .kind = MM_AREA_SHARED, .flags = MM_AREA_MAYSHARE },
                                    device = { .kind = MM_AREA_DEVICE, .flags = MM_AREA_MAYSHARE };
        static const struct {
                uint8_t flags;
                uint64_t frame, count, word;
                const struct mm_area *area;
                enum mm_page_kind kind;
        } table[] = {
                { MM_PAGE_SWAPPED, 0, 0, 0, &anon, MM_PAGE_IS_SWAPPED },
                { MM_PAGE_SWAPPED | MM_PAGE_FILE, 0, 0, 0, &shared, MM_PAGE_IS_SWAPPED },
                { MM_PAGE_PRESENT, 0, 0, 0, &anon, MM_PAGE_IS_UNKNOWN },
                { MM_PAGE_PRESENT | MM_PAGE_ZERO, 9, 0, 0, &anon, MM_PAGE_IS_ZERO },
                { MM_PAGE_PRESENT, 9, 0, BIT(KPF_ZERO_PAGE) | BIT(KPF_THP), &anon, MM_PAGE_IS_ZERO },
                { MM_PAGE_PRESENT, 9, 1, BIT(KPF_ANON), &anon, MM_PAGE_IS_ANON },
                { MM_PAGE_PRESENT, 9, 1, BIT(KPF_ANON), &file, MM_PAGE_IS_ANON },
                { MM_PAGE_PRESENT, 9, 2, BIT(KPF_ANON) | BIT(KPF_KSM), &heap, MM_PAGE_IS_KSM },
                { MM_PAGE_PRESENT | MM_PAGE_FILE, 9, 2, BIT(KPF_LRU), &file, MM_PAGE_IS_FILE },
                { MM_PAGE_PRESENT | MM_PAGE_FILE, 9, 2, BIT(KPF_SWAPBACKED), &shared, MM_PAGE_IS_FILE },
                { MM_PAGE_PRESENT | MM_PAGE_FILE, 9, 2, 0, &special, MM_PAGE_IS_FILE },
                { MM_PAGE_PRESENT | MM_PAGE_FILE, 9, 2, 0, &file, MM_PAGE_IS_FILE },
                { MM_PAGE_PRESENT | MM_PAGE_FILE, 9, 2, 0, &heap, MM_PAGE_IS_DIRECT },
                { MM_PAGE_PRESENT | MM_PAGE_FILE, 9, 2, BIT(KPF_LRU), &heap, MM_PAGE_IS_FILE },
                { MM_PAGE_PRESENT | MM_PAGE_FILE, 9, 1, BIT(KPF_HUGE), &shared, MM_PAGE_IS_HUGETLB },
                { MM_PAGE_PRESENT, 9, 1, BIT(KPF_HUGE) | BIT(KPF_ANON), &anon, MM_PAGE_IS_HUGETLB },
                /* Frames of the kernel's, of a device, of somebody whom a device shows; gone. */
                { MM_PAGE_PRESENT, 9, 0, BIT(32), &special, MM_PAGE_IS_NOTHING },
                { MM_PAGE_PRESENT, 9, 1, 0, &device, MM_PAGE_IS_NOTHING },
                { MM_PAGE_PRESENT, 9, 1, BIT(KPF_ANON), &device, MM_PAGE_IS_NOTHING },
                { MM_PAGE_PRESENT, 9, 0, BIT(KPF_ANON), &anon, MM_PAGE_IS_NOTHING },
                { MM_PAGE_PRESENT | MM_PAGE_FILE, 9, 0, BIT(KPF_LRU), &file, MM_PAGE_IS_NOTHING },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
                struct mm_page page = { 0x1000, table[i].frame, table[i].flags };

                g_test_message("%zu", i);
                g_assert_cmpint(mm_page_kind(&page, table[i].count, table[i].word, table[i].area), ==,
                                table[i].kind);
        }
}

static void test_count(void)
{
        static const struct mm_seen seen[] = {
                { .count = 1, .kind = MM_PAGE_IS_ANON },   { .count = 3, .kind = MM_PAGE_IS_ANON },
                { .count = 3, .kind = MM_PAGE_IS_FILE },   { .count = 2, .kind = MM_PAGE_IS_KSM },
                { .count = 5, .kind = MM_PAGE_IS_DIRECT }, { .kind = MM_PAGE_IS_ZERO },
                { .kind = MM_PAGE_IS_SWAPPED },            { .count = 1, .kind = MM_PAGE_IS_HUGETLB },
                { .kind = MM_PAGE_IS_UNKNOWN },            { .count = 1, .kind = MM_PAGE_IS_NOTHING },
        };
        struct mm_usage u = {}, sum = {};

        mm_usage_count(&u, seen, G_N_ELEMENTS(seen));
        g_assert_cmpuint(u.rss_pages, ==, 5);
        g_assert_cmpuint(u.uss_pages, ==, 1);
        g_assert_cmpuint(u.pss, ==, 16777216 + 2 * 5592405 + 8388608 + 3355443);
        g_assert_cmpuint(u.swap_pages, ==, 1);
        g_assert_cmpuint(u.direct_pages, ==, 1);
        g_assert_cmpuint(u.ksm_pages, ==, 1);
        g_assert_cmpuint(u.zero_pages, ==, 1);
        g_assert_cmpuint(u.hugetlb_pages, ==, 1);
        g_assert_cmpuint(u.unknown_pages, ==, 1);
        mm_usage_add(&sum, &u);
        mm_usage_add(&sum, &u);
        for (size_t i = 0; i < sizeof(u) / sizeof(uint64_t); i++)
                g_assert_cmpuint(((uint64_t *) &sum)[i], ==, 2 * ((uint64_t *) &u)[i]);
}

/* What the kernel says, in KiB. */
struct kernel {
        uint64_t rss, pss, uss, swap, ksm;
};

static uint64_t field(const char *text, const char *end, const char *name)
{
        g_autofree char *key = g_strdup_printf("\n%s:", name);
        const char *at = g_strstr_len(text, end - text, key);

        return at ? g_ascii_strtoull(at + strlen(key), NULL, 10) : 0;
}

static struct kernel parse_smaps(const char *text, const char *end)
{
        return (struct kernel) {
                .rss = field(text, end, "Rss"),
                .pss = field(text, end, "Pss"),
                .uss = field(text, end, "Private_Clean") + field(text, end, "Private_Dirty"),
                .swap = field(text, end, "Swap"),
                .ksm = field(text, end, "KSM"),
        };
}

/* @start 0: of the whole process. */
static struct kernel kernel_says(pid_t pid, uint64_t start)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/%s", pid, start ? "smaps" : "smaps_rollup");
        g_autofree char *head = g_strdup_printf("\n%" G_GINT64_MODIFIER "x-", start), *text = NULL;
        const char *at, *end;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        if (start == 0)
                return parse_smaps(text, text + strlen(text));
        at = strstr(text, head);
        g_assert_nonnull(at);
        end = strstr(at, "VmFlags:");
        g_assert_nonnull(end);
        return parse_smaps(at, end);
}

static int count(void *userdata, const struct mm_piece *piece, const struct mm_seen *seen, size_t n)
{
        mm_usage_count(userdata, seen, n);
        return 0;
}

/* Opens all it takes to look at @pid. */
struct look {
        int dir_fd;
        struct mm_areas areas;
        struct mm_pagemap *pagemap;
        struct mm_kpage kpage;
        struct mm_ksm_areas ksm;
        struct mm_survey survey;
};

static void look_open(struct look *l, pid_t pid, bool scan)
{
        _cleanup_(closep) int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        g_autofree char *path = g_strdup_printf("/proc/%d", pid);

        l->dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(l->dir_fd, >=, 0);
        g_assert_cmpint(mm_areas_read(l->dir_fd, &l->areas), ==, 0);
        g_assert_cmpint(mm_pagemap_open(l->dir_fd, &l->pagemap), ==, 0);
        if (!scan)
                mm_pagemap_forget_scan(l->pagemap);
        mm_kpage_open(proc_fd, &l->kpage);
        mm_kpage_probe_ksm(&l->kpage);
        g_assert_cmpint(mm_ksm_areas_read(&l->kpage, l->dir_fd, &l->ksm), ==, 0);
        l->survey = (struct mm_survey) {
                .pagemap = l->pagemap, .kpage = &l->kpage, .areas = &l->areas, .ksm = &l->ksm
        };
}

static void look_close(struct look *l)
{
        mm_areas_done(&l->areas);
        mm_ksm_areas_done(&l->ksm);
        mm_pagemap_free(l->pagemap);
        mm_kpage_done(&l->kpage);
        close(l->dir_fd);
}

static struct mm_usage look_count(struct look *l, uint64_t from, uint64_t to)
{
        struct mm_usage u = {};

        g_assert_cmpint(mm_survey_walk(&l->survey, from, to, count, &u), ==, 0);
        g_assert_cmphex(l->survey.next, ==, UINT64_MAX);
        return u;
}

/* Whether the two say the same; smaps cuts fractions of KiB off at the very end. */
static bool agree(const struct mm_usage *u, const struct kernel *k)
{
        struct kernel ours = {
                u->rss_pages * 4, u->pss >> (MM_PSS_SHIFT + 10), u->uss_pages * 4, u->swap_pages * 4,
                u->ksm_pages * 4,
        };

        for (size_t i = 0; i < sizeof(ours) / sizeof(uint64_t); i++) {
                uint64_t our = ((const uint64_t *) &ours)[i], their = ((const uint64_t *) k)[i];

                if (our != their) {
                        g_test_message("%zu: %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT, i, our, their);
                        return false;
                }
        }
        return true;
}

/* Pages that others map too may gain and lose mappings while we look: then it is tried again. */
static void assert_agree(struct look *l, pid_t pid, uint64_t start, uint64_t end)
{
        for (unsigned i = 0;; i++) {
                struct kernel before = kernel_says(pid, start), after;
                struct mm_usage u = look_count(l, start, end);

                after = kernel_says(pid, start);
                g_assert_cmpuint(u.unknown_pages, ==, 0);
                if (agree(&u, &after))
                        return;
                if (memcmp(&before, &after, sizeof(before)) == 0 && i >= 20)
                        g_error("%" G_GINT64_MODIFIER "x: not what the kernel says", start);
                g_usleep(20000);
        }
}

enum {
        SMALL,
        COPIED,
        HUGE,
        SPLIT,
        FORKED_HUGE,
        READ,
        HUGE_READ,
        CACHED,
        SHARED,
        GUARDED,
        PAGED,
        SPARSE,
        N_AREAS
};

static struct {
        uint8_t *start;
        uint64_t n_pages;
} areas[N_AREAS];

/* Each with a hole on either side, so that the kernel joins none with another. */
static void *map(int which, uint64_t n_pages, int flags, int fd)
{
        uint64_t size = n_pages * PAGE, align = HUGE_PAGES * PAGE;
        int reserve = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        uint8_t *p = mmap(NULL, size + 2 * align, PROT_NONE, reserve, -1, 0), *start;

        g_assert_true(p != MAP_FAILED);
        start = (uint8_t *) (((uintptr_t) p + align) & ~(align - 1));
        g_assert_cmpint(munmap(p, size + 2 * align), ==, 0);
        start = mmap(start, size, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE | flags, fd, 0);
        g_assert_true(start != MAP_FAILED);
        if (fd < 0)
                (void) madvise(start, size, which == HUGE || which == SPLIT || which == FORKED_HUGE ||
                                                            which == HUGE_READ
                                                    ? MADV_HUGEPAGE
                                                    : MADV_NOHUGEPAGE);
        areas[which].start = start;
        areas[which].n_pages = n_pages;
        return start;
}

#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static void prepare(void)
{
        int fd = memfd_create("test-usage", MFD_CLOEXEC);
        static const uint8_t bytes[64 * PAGE] = { 1 };

        memset(map(SMALL, 100, ANONYMOUS, -1), 1, 100 * PAGE);
        memset(map(COPIED, 100, ANONYMOUS, -1), 1, 100 * PAGE);
        memset(map(HUGE, 2 * HUGE_PAGES, ANONYMOUS, -1), 1, PAGE);
        memset(map(SPLIT, 2 * HUGE_PAGES, ANONYMOUS, -1), 1, 2 * HUGE_PAGES * PAGE);
        memset(map(FORKED_HUGE, HUGE_PAGES, ANONYMOUS, -1), 1, HUGE_PAGES * PAGE);
        map(READ, 50, ANONYMOUS, -1);
        map(HUGE_READ, HUGE_PAGES, ANONYMOUS, -1);
        g_assert_cmpint(write(fd, bytes, sizeof(bytes)), ==, sizeof(bytes));
        map(CACHED, 64, MAP_PRIVATE, fd);
        map(SHARED, 64, MAP_SHARED, fd);
        close(fd);
        map(GUARDED, 50, ANONYMOUS, -1);
        map(PAGED, 50, ANONYMOUS, -1);
        map(SPARSE, UINT64_C(1) << 40 >> 12, ANONYMOUS | MAP_NORESERVE, -1);
}

static void touch(int which, uint64_t from, uint64_t n)
{
        for (uint64_t i = from; i < from + n; i++)
                (void) *(volatile uint8_t *) (areas[which].start + i * PAGE);
}

static void use(void *userdata)
{
        /* Ten pages of its own again, ten that are gone. */
        memset(areas[COPIED].start + 10 * PAGE, 2, 10 * PAGE);
        (void) madvise(areas[COPIED].start + 50 * PAGE, 10 * PAGE, MADV_DONTNEED);
        memset(areas[HUGE].start + HUGE_PAGES * PAGE, 2, HUGE_PAGES * PAGE);
        /* Mapped by small pages now, and not all of them. */
        (void) madvise(areas[SPLIT].start + 100 * PAGE, 30 * PAGE, MADV_DONTNEED);
        touch(READ, 0, 20);
        memset(areas[READ].start + 5 * PAGE, 1, 2 * PAGE);
        touch(HUGE_READ, 0, HUGE_PAGES);
        touch(CACHED, 0, 64);
        memset(areas[CACHED].start + 3 * PAGE, 7, 5 * PAGE);
        touch(SHARED, 0, 40);
        memset(areas[GUARDED].start, 1, 30 * PAGE);
        (void) madvise(areas[GUARDED].start + 10 * PAGE, 5 * PAGE, MADV_GUARD_INSTALL);
        /* To a swap device, where there is one. */
        for (uint64_t i = 0; i < 50; i++)
                areas[PAGED].start[i * PAGE] = (uint8_t) (i + 1);
        (void) madvise(areas[PAGED].start, 30 * PAGE, MADV_PAGEOUT);
        /* Four pages in a terabyte. */
        for (uint64_t i = 1; i < 5; i++)
                areas[SPARSE].start[areas[SPARSE].n_pages / 5 * i * PAGE] = 1;
}

static pid_t child[3];

static void test_areas(const void *data)
{
        struct look l = {};

        look_open(&l, child[0], data != NULL);
        for (int i = 0; i < N_AREAS; i++) {
                uint64_t start = (uintptr_t) areas[i].start;

                g_test_message("area %d", i);
                assert_agree(&l, child[0], start, start + areas[i].n_pages * PAGE);
        }
        g_assert_cmpuint(l.survey.n_too_sparse, ==, 0);
        look_close(&l);
}

static void test_expected(void)
{
        struct look l = {};
        struct mm_usage u;
        uint64_t start;

        look_open(&l, child[0], true);
        start = (uintptr_t) areas[COPIED].start;
        u = look_count(&l, start, start + 100 * PAGE);
        g_assert_cmpuint(u.rss_pages, ==, 90);
        g_assert_cmpuint(u.uss_pages, ==, 10);
        start = (uintptr_t) areas[SMALL].start;
        u = look_count(&l, start, start + 100 * PAGE);
        g_assert_cmpuint(u.rss_pages, ==, 100);
        g_assert_cmpuint(u.uss_pages, ==, 0);
        g_assert_cmpuint(u.pss, ==, 100 * mm_pss_share(4));
        start = (uintptr_t) areas[READ].start;
        u = look_count(&l, start, start + 50 * PAGE);
        g_assert_cmpuint(u.rss_pages, ==, 2);
        g_assert_cmpuint(u.zero_pages, ==, 18);
        start = (uintptr_t) areas[GUARDED].start;
        u = look_count(&l, start, start + 50 * PAGE);
        g_assert_cmpuint(u.swap_pages, ==, 0);
        look_close(&l);
}

static void test_process(void)
{
        for (size_t i = 0; i < G_N_ELEMENTS(child); i++) {
                struct look l = {};

                look_open(&l, child[i], true);
                assert_agree(&l, child[i], 0, UINT64_MAX);
                look_close(&l);
        }
}

/* In time that depends on what is there; without PAGEMAP_SCAN, at least not as if all of it were. */
static void test_terabyte(void)
{
        uint64_t start = (uintptr_t) areas[SPARSE].start;
        struct utsname u;
        struct look l = {};
        bool scans;
        gint64 took;

        g_assert_cmpint(uname(&u), ==, 0);
        scans = strverscmp(u.release, "6.7") >= 0;
        look_open(&l, child[0], true);
        took = -g_get_monotonic_time();
        g_assert_cmpuint(look_count(&l, start, start + (UINT64_C(1) << 40)).rss_pages, ==, 4);
        took += g_get_monotonic_time();
        g_test_message("%" G_GINT64_FORMAT " us", took);
        g_assert_cmpint(took, <, (scans ? 1 : 60) * G_USEC_PER_SEC);
        g_assert_cmpuint(l.survey.n_too_sparse, ==, 0);
        look_close(&l);
}

/* A survey that is stopped goes on where it was. */
static int count_some(void *userdata, const struct mm_piece *piece, const struct mm_seen *seen, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                g_assert_cmphex(seen[i].page.address, >=, piece->start);
                g_assert_cmphex(seen[i].page.address, <, piece->end);
        }
        mm_usage_count(userdata, seen, n);
        return 1;
}

static void test_resume(void)
{
        uint64_t start = (uintptr_t) areas[HUGE].start, end = start + 2 * HUGE_PAGES * PAGE, next = start;
        struct mm_usage u = {}, whole;
        struct look l = {};
        unsigned n = 0;

        look_open(&l, child[0], true);
        whole = look_count(&l, start, end);
        do {
                int r = mm_survey_walk(&l.survey, next, end, count_some, &u);

                g_assert_cmpint(r, ==, l.survey.next == UINT64_MAX ? 0 : 1);
                g_assert_cmphex(l.survey.next, >, next);
                next = l.survey.next;
                n++;
        } while (next != UINT64_MAX);
        g_assert_cmpuint(n, >=, 3);
        g_assert_cmpmem(&u, sizeof(u), &whole, sizeof(whole));
        look_close(&l);
}

static void test_gone(void)
{
        pid_t pid = child_start(use, NULL);
        struct mm_usage u = {};
        struct look l = {};

        look_open(&l, pid, true);
        child_kill(pid);
        g_assert_cmpint(mm_survey_walk(&l.survey, 0, UINT64_MAX, count, &u), ==, -ESRCH);
        look_close(&l);
}

int main(int argc, char *argv[])
{
        int r;

        g_test_init(&argc, &argv, NULL);
        prepare();
        for (size_t i = 0; i < G_N_ELEMENTS(child); i++)
                child[i] = child_start(use, NULL);
        g_test_add_func("/usage/share", test_share);
        g_test_add_func("/usage/kind", test_kind);
        g_test_add_func("/usage/count", test_count);
        g_test_add_data_func("/usage/areas/scan", "", test_areas);
        g_test_add_data_func("/usage/areas/read", NULL, test_areas);
        g_test_add_func("/usage/expected", test_expected);
        g_test_add_func("/usage/process", test_process);
        g_test_add_func("/usage/terabyte", test_terabyte);
        g_test_add_func("/usage/resume", test_resume);
        g_test_add_func("/usage/gone", test_gone);
        r = g_test_run();
        for (size_t i = 0; i < G_N_ELEMENTS(child); i++)
                child_kill(child[i]);
        return r;
}
