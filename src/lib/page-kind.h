/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/maps.h"
#include "lib/pages.h"

/* What a page of a process is, from what pagemap, kpagecount and kpageflags say of it. */

enum mm_page_kind {
        MM_PAGE_IS_NOTHING, /* no memory of the process: the kernel's own or a device's, or gone meanwhile */
        MM_PAGE_IS_UNKNOWN, /* in RAM, but the kernel does not tell its frame (CAP_SYS_ADMIN) */
        MM_PAGE_IS_SWAPPED,
        MM_PAGE_IS_ZERO,    /* mapped to the kernel's page of zeros */
        MM_PAGE_IS_ANON,    /* private: anonymous, or of a file and written */
        MM_PAGE_IS_FILE,    /* of a file's cache, or memory shared from the start */
        MM_PAGE_IS_KSM,     /* on a frame of KSM's */
        MM_PAGE_IS_DIRECT,  /* on a frame of mergemod's */
        MM_PAGE_IS_HUGETLB, /* of a huge page set aside (hugetlbfs): in no figure of the kernel's */
        MM_PAGE_KIND_MAX_
};

/* @count and @flags: words of kpagecount and kpageflags of its frame; @area: that it lies in. */
enum mm_page_kind mm_page_kind(const struct mm_page *page, uint64_t count, uint64_t flags,
                               const struct mm_area *area);

/* Whether @flags, of the frame of a page in an anonymous area that pagemap says is not anonymous, are of a
 * frame of mergemod's. */
bool mm_frame_is_direct(uint64_t flags);
