/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/procfs.h"

/* Whether mergemod takes two processes for one trust domain, as far as /proc tells: equal user ids and
 * namespaces, for root's also equal cgroups. What is not known is equal to nothing. */
bool mm_domain_is_equal(const struct mm_process *a, const struct mm_process *b);

/* The same, but for user ids and cgroups. */
bool mm_domain_has_equal_namespaces(const struct mm_process *a, const struct mm_process *b);
