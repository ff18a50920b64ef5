/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/page-runs.h"

#include "lib/hash.h"

bool mm_run_of(const struct mm_run_filter *f, const struct mm_seen *seen, struct mm_run *ret)
{
        struct mm_run run = {
                .address = seen->page.address,
                .n_pages = 1,
                .frame = seen->page.frame,
                .count = seen->count,
                .flags = mm_flags_of_page(&seen->page, seen->flags),
        };

        if (f->reduced) {
                run.frame = 0;
                run.count = seen->page.flags & MM_PAGE_EXCLUSIVE ? 1 : 0;
                run.flags &= MM_FLAGS_OF_USERS;
        }
        for (size_t i = 0; i < f->n_flags; i++)
                if (!mm_flag_filter_match(&f->flags[i], run.flags))
                        return false;
        *ret = run;
        return true;
}

bool mm_run_join(struct mm_run *run, const struct mm_run *next)
{
        if (run->n_pages == 0 || run->address + run->n_pages * MM_PAGE_SIZE != next->address ||
            run->count != next->count || run->flags != next->flags)
                return false;
        /* Where there is no frame there are none that follow. */
        if (run->frame == 0 ? next->frame != 0 : run->frame + run->n_pages != next->frame)
                return false;
        run->n_pages += next->n_pages;
        return true;
}
