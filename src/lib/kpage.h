/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/pages.h"

/* /proc/kpagecount and /proc/kpageflags, one word per frame. */
struct mm_kpage {
        int count_fd, flags_fd; /* negative if it cannot be read */
        bool ksm_is_vague;      /* KPF_KSM is set on all anonymous frames: see lib/ksm-frame.h */
};
/* Never fails: what is missing stays closed, and the readers below say -ENODATA. */
void mm_kpage_open(int proc_fd, struct mm_kpage *ret);
/* Finds out whether KPF_KSM is vague, which until then it is taken not to be. */
void mm_kpage_probe_ksm(struct mm_kpage *k);
void mm_kpage_done(struct mm_kpage *k);

/* How often @frame is mapped. 0 and *@ret, or -errno. */
int mm_kpage_count(const struct mm_kpage *k, uint64_t frame, uint64_t *ret);
/* KPF_* bits of <linux/kernel-page-flags.h> of @n frames from @frame on. Returns words read, which
 * is 0 behind the last frame, or -errno. */
ssize_t mm_kpage_flags(const struct mm_kpage *k, uint64_t frame, uint64_t *words, size_t n);

/* The same for the frames of @n <= MM_PAGES_CHUNK pages, in whatever order they lie: words[i] is that of
 * pages[i], and 0 if it has no frame, or none that can be read. 0 or -ENODATA. */
int mm_kpage_counts_of(const struct mm_kpage *k, const struct mm_page *pages, size_t n, uint64_t *words);
int mm_kpage_flags_of(const struct mm_kpage *k, const struct mm_page *pages, size_t n, uint64_t *words);
