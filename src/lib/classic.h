/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "lib/hash.h"
#include "lib/target.h"

/* What the calls of 1999 have in common. */

/* Whether the caller's memory at @p can be read, and with @write written too, all @size bytes of it. 0,
 * -EFAULT, -EMFILE, ... What is there stays; who frees it meanwhile is not helped. */
int mm_classic_check_memory(const void *p, size_t size, bool write);

/* A process in a context with which frames and reference counts can be told. 0, -EPERM, -ENOPKG, -EPROTO,
 * ... */
int mm_classic_open_target(pid_t pid, struct mm_target **ret);

static inline const void *mm_classic_physical(const struct mm_page_info *page)
{
        return (const void *) (uintptr_t) (page->frame * MM_PAGE_SIZE);
}

/* @r, if negative as mmlib(3) says it: -1 and errno. */
ssize_t mm_classic_result(ssize_t r);
