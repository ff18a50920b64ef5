/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"

/* What users who are not root may have going at a time, so that nobody of them keeps others from the
 * service. For root there are JOBS_MAX and LISTINGS_MAX. */
#define LIMIT_JOBS_PER_USER 4U
#define LIMIT_JOBS (JOBS_MAX / 2U)
#define LIMIT_LISTINGS_PER_USER 2U
#define LIMIT_LISTINGS (LISTINGS_MAX / 2U)
#define LIMIT_PAGING_PER_USER 2U
#define LIMIT_PAGING (PAGING_MAX / 2U)
#define LIMIT_EXPLAINING_PER_USER 2U
#define LIMIT_EXPLAINING (EXPLAINING_MAX / 2U)
/* Ended jobs that can be read. */
#define LIMIT_ENDED_PER_USER 4U
/* Names that are looked up one after the other: paths and users. */
#define LIMIT_LOOKUPS 64U

/* Whether the user who means @s may begin another job, list or answer about pages, whose cost is then taken
 * from his quota. Else @error says why. */
int limit_job(Manager *m, const struct selector *s, sd_bus_error *error);
int limit_listing(Manager *m, const struct selector *s, sd_bus_error *error);
int limit_paging(Manager *m, const struct selector *s, sd_bus_error *error);
/* The same for an explanation to user @uid; @only_own: of one of his own processes. */
int limit_explaining(Manager *m, uid_t uid, bool only_own, sd_bus_error *error);

/* A filter of messages, whose userdata is the Manager. Calls wait until it is known who sent them. Of those
 * that want an answer the bus forwards so many of one connection and no more, until they have it: who calls
 * too often is not answered at last. Of those that want none there is no end, so only root may make any. */
int limit_filter(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* Whether so many more pages may be looked at for @s; then they are taken from the quota. */
bool limit_take(Manager *m, const struct selector *s, uint64_t pages);
/* What so many pages are was told for @s, and not one of them read: that costs so much less. It may be more
 * than was left. */
#define LIMIT_SEEN_PER_READ 16U
void limit_charge_seen(Manager *m, const struct selector *s, uint64_t pages);
/* What @s is about did not answer, and held up the worker. */
void limit_penalize(Manager *m, const struct selector *s);

/* Of two waiting jobs, whether @a is next: root's, else whose user has had less done; then the older. */
bool limit_goes_first(const Manager *m, const struct job *a, const struct job *b);
