/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/kpage.h"

#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <sys/mman.h>

#include "lib/hash.h"

void mm_kpage_done(struct mm_kpage *k)
{
        k->count_fd = safe_close(k->count_fd);
        k->flags_fd = safe_close(k->flags_fd);
}

static ssize_t kpage_read(int fd, uint64_t frame, uint64_t *words, size_t n)
{
        ssize_t size;

        if (fd < 0)
                return -ENODATA;

        size = pread(fd, words, n * sizeof(*words), (off_t)(frame * sizeof(*words)));
        return size < 0 ? -errno : size / (ssize_t)sizeof(*words);
}

/* Whether the kernel takes a page for KSM's that it cannot be: ours, and just written. */
static bool is_ksm_vague(int flags_fd)
{
        uint64_t frame, flags;
        bool vague;
        void *p;

        if (flags_fd < 0)
                return false;
        p = mmap(NULL, MM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                return false;
        *(volatile uintptr_t *)p = (uintptr_t)p;
        frame = mm_frame_at(p);
        vague = frame > 0 && kpage_read(flags_fd, frame, &flags, 1) == 1 &&
                (flags & (UINT64_C(1) << KPF_KSM)) != 0;
        (void)munmap(p, MM_PAGE_SIZE);
        return vague;
}

void mm_kpage_open(int proc_fd, struct mm_kpage *ret)
{
        ret->count_fd = openat(proc_fd, "kpagecount", O_RDONLY | O_CLOEXEC | O_NOCTTY);
        ret->flags_fd = openat(proc_fd, "kpageflags", O_RDONLY | O_CLOEXEC | O_NOCTTY);
        ret->ksm_is_vague = false;
}

void mm_kpage_probe_ksm(struct mm_kpage *k)
{
        k->ksm_is_vague = is_ksm_vague(k->flags_fd);
}

int mm_kpage_count(const struct mm_kpage *k, uint64_t frame, uint64_t *ret)
{
        uint64_t word;
        ssize_t n;

        n = kpage_read(k->count_fd, frame, &word, 1);
        if (n < 0)
                return (int)n;
        if (n == 0)
                return -ENXIO;

        *ret = word;
        return 0;
}

ssize_t mm_kpage_flags(const struct mm_kpage *k, uint64_t frame, uint64_t *words, size_t n)
{
        return kpage_read(k->flags_fd, frame, words, n);
}

/* Frames that were allocated one after the other mostly have numbers close to each other, up or down, so
 * words are read in runs of which at least about half is wanted. */
static int read_words(int fd, const struct mm_page *pages, size_t n, uint64_t *ret)
{
        uint64_t words[MM_PAGES_CHUNK];

        if (fd < 0)
                return -ENODATA;

        for (size_t from = 0, to; from < n; from = to) {
                uint64_t low = pages[from].frame, high = low;
                ssize_t n_words;

                for (to = from + 1; to < n; to++) {
                        uint64_t lower = MIN(low, pages[to].frame), higher = MAX(high, pages[to].frame);

                        if (higher - lower >= MIN(2 * (to - from) + 8, MM_PAGES_CHUNK))
                                break;
                        low = lower;
                        high = higher;
                }

                n_words = high > 0 ? kpage_read(fd, low, words, high - low + 1) : 0;
                for (size_t i = from; i < to; i++) {
                        uint64_t index = pages[i].frame - low;

                        ret[i] = pages[i].frame > 0 && (ssize_t)index < n_words ? words[index] : 0;
                }
        }
        return 0;
}

int mm_kpage_counts_of(const struct mm_kpage *k, const struct mm_page *pages, size_t n, uint64_t *words)
{
        return read_words(k->count_fd, pages, n, words);
}

int mm_kpage_flags_of(const struct mm_kpage *k, const struct mm_page *pages, size_t n, uint64_t *words)
{
        return read_words(k->flags_fd, pages, n, words);
}
