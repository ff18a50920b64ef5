/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/rules.h"
#include "daemon/worker.h"

/* What only the worker can find out about programs and users, since their file systems and databases can
 * hang: which file a path leads to, what a user is called. Answers are kept for a while. */

struct identities;

int identities_new(sd_event *event, struct worker *worker, struct identities **ret);
struct identities *identities_free(struct identities *i);
DEFINE_CLEANUP_FUNC(struct identities *, identities_free)

/* Fills in *@ret what rules of @c may ask of @p, which like @unit is borrowed. What is not known yet is
 * asked for, and not true until the answer is there: 1 if there is such, 0 if nothing is to be waited for,
 * -errno. What could not be found out is in doubt where a rule says never, and the journal tells so once. */
int identities_subject(struct identities *i, const struct conf *c, const struct mm_process *p,
                       const char *unit, struct rule_subject *ret);

/* What could not be found out is asked for again the next time it is of interest, rather than in a while. */
void identities_retry(struct identities *i);

/* Calls @done when all is answered that was asked for so far. 0 or -errno; worker_forget() withdraws. */
int identities_wait(struct identities *i, worker_done_t done, void *userdata);
