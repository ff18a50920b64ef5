/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account-bus.h"
#include "daemon/job.h"
#include "shared/clock.h"
#include "shared/format.h"
#include "shared/log.h"

static void judge(struct engine_rule *r, const struct account_figures *f)
{
        struct erosion_sample sample = {
                .merged_pages = f->n_merged,
                .saved_bytes = f->saved_bytes,
                .n_merged = f->n_merged + f->n_written,
                .n_lost = f->n_written,
                .cpu_nsec = f->cpu_nsec,
        };

        if (!erosion_judge(&r->erosion, clock_usec(CLOCK_MONOTONIC), &sample))
                return;
        log_notice("Rule \"%s\": merged pages are written to faster than merging pays, %s until now; %s, "
                   "and nothing is merged for it for %" PRIu64 " minutes.",
                   r->name, FORMAT_BYTES(f->n_written * MM_PAGE_SIZE),
                   r->on_erosion == RULE_ON_EROSION_UNMERGE ? "what is left is given back"
                                                            : "what is left stays merged",
                   r->erosion.rest_usec / 60000000U);
        if (r->on_erosion != RULE_ON_EROSION_UNMERGE)
                return;
        r->to_unmerge = r->due = true;
        engine_dispatch(r->manager->engine);
}

void engine_judge(struct engine *e)
{
        Manager *m = e->manager;

        manager_update_account(m);
        for (size_t i = 0; i < e->n_rules; i++) {
                struct account_figures f = {};

                if (e->rules[i]->on_erosion == RULE_ON_EROSION_KEEP)
                        continue;
                account_rule_figures(&m->account, e->rules[i]->name, &f);
                judge(e->rules[i], &f);
        }
}
