/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/merger.h"
#include "lib/mmlib.h"

/* What the public calls that merge have in common. */

/* 0 or -EINVAL; NULL becomes what stands for it. */
int mm_merge_options_check(const struct mm_merge_options **options);

/* A merger with mergemod. 0, as mm_ctx_check_module(), -ENOMEM. */
int mm_merge_new_merger(struct mm_ctx *ctx, const struct mm_merge_options *options,
                        const struct mm_merger_events *events, void *userdata, struct mm_merger **ret);

/* Adds up what a call of mergemod did. */
void mm_merge_result_add(struct mm_merge_result *result, const struct mergemod_merge *sum);
