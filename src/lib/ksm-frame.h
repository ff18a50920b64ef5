/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/kpage.h"
#include "lib/vmflags.h"

/* Which frames are KSM's. KPF_KSM in kpageflags says so, but from Linux 6.10 on, until about 6.17, all
 * anonymous frames have that bit. There it is believed only of pages that are mapped more than once, in
 * areas of which smaps says that they have pages of KSM's. So a page of KSM's that all others have left
 * counts as an ordinary one, and one that is shared since a fork, beside pages of KSM's, as KSM's. */

/* @flags of a page's frame, without KPF_KSM if that is not to be believed.
 * @vague: mm_kpage.ksm_is_vague; @area: MM_VM_* of the area that the page lies in. */
uint64_t mm_ksm_judge(uint64_t flags, bool vague, const struct mm_page *page, uint32_t area);

/* What it takes to do that for all pages of a process. */
struct mm_ksm_areas {
        bool vague;
        struct mm_vmflags *items; /* NULL unless the bit is vague */
        size_t n;
};

/* Where the bit is vague this reads smaps of the process whose /proc/PID is @process_fd: see
 * mm_vmflags_read(). 0 and *@ret (mm_ksm_areas_done), or what that returns. */
int mm_ksm_areas_read(const struct mm_kpage *k, int process_fd, struct mm_ksm_areas *ret);
void mm_ksm_areas_done(struct mm_ksm_areas *a);

/* mm_ksm_judge() of the page at @page->address. */
uint64_t mm_ksm_areas_judge(const struct mm_ksm_areas *a, const struct mm_page *page, uint64_t flags);
