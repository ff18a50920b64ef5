/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>
#include <unistd.h>

#include "daemon/registry.h"

uint64_t registry_now_ticks(void)
{
        uint64_t hz = (uint64_t) sysconf(_SC_CLK_TCK);
        struct timespec ts;

        if (clock_gettime(CLOCK_BOOTTIME, &ts) < 0)
                return 0;
        return (uint64_t) ts.tv_sec * hz + (uint64_t) ts.tv_nsec * hz / 1000000000U;
}

void former_done(struct former *f)
{
        free(f->domain);
        free(f->ranges);
        *f = (struct former) {};
}

/* The entry for @domain, moved to the front; where there is none, a new one, at the cost of the oldest. */
static struct former *get_former(struct registry *r, const char *domain)
{
        struct former found = {};
        size_t i = 0;

        while (i < r->n_former && !streq(r->former[i].domain, domain))
                i++;
        if (i < r->n_former)
                found = r->former[i];
        else {
                found = (struct former) { .domain = strdup(domain), .since_ticks = UINT64_MAX };
                if (!found.domain)
                        return NULL;
                if (r->n_former < FORMER_DOMAINS_MAX)
                        r->n_former++;
                else
                        former_done(&r->former[--i]);
        }
        memmove(r->former + 1, r->former, i * sizeof(*r->former));
        r->former[0] = found;
        return r->former;
}

void registry_remember(struct registry *r, const char *domain, uint64_t since_ticks, uint64_t until_ticks,
                       const struct worker_range *ranges, size_t n)
{
        /* Registration is inherited; what mergemod merged just stays merged. */
        struct former *f = n > 0 && r->kind == REGISTRY_KSM ? get_former(r, domain) : NULL;
        struct worker_range *sum;
        size_t n_sum;

        if (!f)
                return;
        /* Rather the latest than all. */
        if (f->n_ranges + n > FORMER_RANGES_MAX)
                f->n_ranges = 0;
        if (n > FORMER_RANGES_MAX || ranges_add(f->ranges, f->n_ranges, ranges, n, &sum, &n_sum) < 0)
                return;
        free(f->ranges);
        f->ranges = sum;
        f->n_ranges = n_sum;
        f->since_ticks = MIN(f->since_ticks, since_ticks);
        f->until_ticks = MAX(f->until_ticks, until_ticks);
}

/* Both ascend. Most that are asked about have nothing in common, which the first range tells. */
static bool contains(const struct worker_range *all, size_t n_all, const struct worker_range *some, size_t n)
{
        size_t low = 0, high = n_all;

        while (n > 0 && low < high) {
                size_t middle = low + (high - low) / 2;

                if (all[middle].end <= some[0].start)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (size_t i = 0; i < n; i++) {
                uint64_t reached = some[i].start;

                while (low < n_all && all[low].end <= reached)
                        low++;
                for (; low < n_all && all[low].start <= reached && reached < some[i].end; low++) {
                        reached = all[low].end;
                        if (reached >= some[i].end)
                                break;
                }
                if (reached < some[i].end)
                        return false;
        }
        return true;
}

bool registry_explains(const struct registry *r, const char *domain, uint64_t start_ticks,
                       const struct worker_range *ranges, size_t n)
{
        for (size_t i = 0; i < r->n_former; i++) {
                const struct former *f = &r->former[i];

                if (streq(f->domain, domain) && f->since_ticks <= start_ticks &&
                    start_ticks <= f->until_ticks && contains(f->ranges, f->n_ranges, ranges, n))
                        return true;
        }
        for (size_t i = 0; i < r->n_items; i++) {
                const struct registered *g = r->items[i];

                if (streq(g->domain, domain) && g->since_ticks <= start_ticks &&
                    contains(g->ranges, g->n_ranges, ranges, n))
                        return true;
        }
        return false;
}
