/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frames.h"

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/macro.h"

#define PAGE 4096U
#define PFN_MASK ((UINT64_C(1) << 55) - 1)
#define PM_FILE (UINT64_C(1) << 61)
#define PM_PRESENT (UINT64_C(1) << 63)

static int open_file(pid_t pid, const char *name)
{
        char path[64];
        int fd;

        if (pid > 0)
                snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        else
                snprintf(path, sizeof(path), "/proc/%s", name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                g_error("%s: %m", path);
        return fd;
}

static uint64_t zero_frame(void)
{
        static uint64_t frame;

        if (frame == 0) {
                volatile char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                int fd = open_file(getpid(), "pagemap");
                uint64_t word = 0;

                g_assert_cmpint(page[0], ==, 0);
                g_assert_cmpint(pread(fd, &word, sizeof(word), (off_t)((uintptr_t)page / PAGE * 8)), ==, 8);
                munmap((void *)page, PAGE);
                safe_close(fd);
                frame = word & PFN_MASK;
                g_assert_cmpuint(frame, !=, 0);
        }
        return frame;
}

static void read_area(int pagemap, uint64_t start, uint64_t end, GArray *pages)
{
        static uint64_t words[4096];

        while (start < end) {
                size_t n = MIN((end - start) / PAGE, ELEMENTSOF(words));
                ssize_t got = pread(pagemap, words, n * 8, (off_t)(start / PAGE * 8));

                g_assert_cmpint(got, ==, (ssize_t)(n * 8));
                for (size_t i = 0; i < n; i++) {
                        struct frames_page page = { start + i * PAGE, words[i] };

                        if ((words[i] & PM_PRESENT) && !(words[i] & PM_FILE) &&
                            (words[i] & PFN_MASK) != zero_frame())
                                g_array_append_val(pages, page);
                }
                start += n * PAGE;
        }
}

struct frames frames_read(pid_t pid, uint64_t from, uint64_t to)
{
        GArray *pages = g_array_new(FALSE, FALSE, sizeof(struct frames_page));
        int pagemap = open_file(pid, "pagemap");
        _cleanup_(fclosep) FILE *maps = fdopen(open_file(pid, "maps"), "re");
        struct frames f = { 0 };
        unsigned long long start, end;
        char line[8192], perms[5];

        while (fgets(line, sizeof(line), maps)) {
                g_assert_cmpint(sscanf(line, "%llx-%llx %4s", &start, &end, perms), ==, 3);
                /* Nor stacks, which nobody merges. */
                if (perms[3] != 'p' || strstr(line, "[v") || strstr(line, "[stack") || end <= from ||
                    start >= to)
                        continue;
                read_area(pagemap, MAX(start, from), MIN(end, to), pages);
        }
        safe_close(pagemap);
        f.n = pages->len;
        f.pages = (struct frames_page *)(void *)g_array_free(pages, FALSE);
        return f;
}

void frames_done(struct frames *f)
{
        g_free(f->pages);
        *f = (struct frames){ 0 };
}

bool frames_equal(const struct frames *a, const struct frames *b)
{
        return a->n == b->n && memcmp(a->pages, b->pages, a->n * sizeof(a->pages[0])) == 0;
}

size_t frames_distinct(const pid_t *pids, size_t n)
{
        GHashTable *set = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
        size_t distinct;

        for (size_t i = 0; i < n; i++) {
                struct frames f = frames_read(pids[i], 0, UINT64_MAX);

                for (size_t k = 0; k < f.n; k++) {
                        gint64 frame = (gint64)(f.pages[k].word & PFN_MASK);

                        g_hash_table_add(set, g_memdup2(&frame, sizeof(frame)));
                }
                frames_done(&f);
        }
        distinct = g_hash_table_size(set);
        g_hash_table_destroy(set);
        return distinct;
}

struct seen {
        char sum[33]; /* MD5 of the page, so that equal ones stand together */
        uint64_t frame;
};

static int compare_seen(const void *a, const void *b)
{
        const struct seen *x = a, *y = b;
        int r = memcmp(x->sum, y->sum, sizeof(x->sum));

        return r != 0 ? r : (x->frame > y->frame) - (x->frame < y->frame);
}

static GArray *see(const pid_t *pids, size_t n)
{
        GArray *all = g_array_new(FALSE, TRUE, sizeof(struct seen));

        for (size_t i = 0; i < n; i++) {
                struct frames f = frames_read(pids[i], 0, UINT64_MAX);
                int mem = open_file(pids[i], "mem");

                for (size_t k = 0; k < f.n; k++) {
                        struct seen s = { .frame = f.pages[k].word & PFN_MASK };
                        unsigned char page[PAGE];
                        char *sum;

                        g_assert_cmpint(pread(mem, page, PAGE, (off_t)f.pages[k].address), ==, PAGE);
                        sum = g_compute_checksum_for_data(G_CHECKSUM_MD5, page, PAGE);
                        g_strlcpy(s.sum, sum, sizeof(s.sum));
                        g_free(sum);
                        g_array_append_val(all, s);
                }
                safe_close(mem);
                frames_done(&f);
        }
        g_array_sort(all, compare_seen);
        return all;
}

size_t frames_duplicates(const pid_t *pids, size_t n)
{
        GArray *all = see(pids, n);
        int counts = open_file(0, "kpagecount");
        size_t duplicates = 0, limit;
        char *text;

        /* KSM maps one frame so often and no more. */
        g_assert_true(g_file_get_contents("/sys/kernel/mm/ksm/max_page_sharing", &text, NULL, NULL));
        limit = strtoul(text, NULL, 10);
        g_free(text);

        for (size_t i = 0; i < all->len;) {
                const struct seen *first = &g_array_index(all, struct seen, i);
                size_t freeable = 0, needed, k = i;

                while (k < all->len) {
                        const struct seen *s = &g_array_index(all, struct seen, k);
                        uint64_t mappings = 0, total = 0;

                        if (!streq(s->sum, first->sum))
                                break;
                        while (k < all->len && compare_seen(s, &g_array_index(all, struct seen, k)) == 0) {
                                mappings++;
                                k++;
                        }
                        g_assert_cmpint(pread(counts, &total, 8, (off_t)(s->frame * 8)), ==, 8);
                        if (total == mappings)
                                freeable++;
                }
                needed = (k - i + limit - 1) / limit;
                i = k;
                if (freeable > needed)
                        duplicates += freeable - needed;
        }
        safe_close(counts);
        g_array_free(all, TRUE);
        return duplicates;
}

size_t frames_registered(pid_t pid, struct frames_range *ret, size_t n)
{
        _cleanup_(fclosep) FILE *smaps = fdopen(open_file(pid, "smaps"), "re");
        unsigned long long start = 0, end = 0, a, b;
        char line[8192];
        size_t found = 0;

        while (fgets(line, sizeof(line), smaps)) {
                if (sscanf(line, "%llx-%llx ", &a, &b) == 2) {
                        start = a;
                        end = b;
                } else if (g_str_has_prefix(line, "VmFlags:") && strstr(line, " mg")) {
                        if (found > 0 && ret[found - 1].end == start) {
                                ret[found - 1].end = end;
                                continue;
                        }
                        g_assert_cmpuint(found, <, n);
                        ret[found++] = (struct frames_range){ start, end };
                }
        }
        return found;
}

bool frames_is_registered(pid_t pid)
{
        struct frames_range ranges[64];

        return frames_registered(pid, ranges, ELEMENTSOF(ranges)) > 0;
}

void frames_assert_unregistered(pid_t pid)
{
        struct frames_range ranges[64];

        if (frames_registered(pid, ranges, ELEMENTSOF(ranges)) > 0)
                g_error("%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x of process %d is registered",
                        ranges[0].start, ranges[0].end, (int) pid);
}
