/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/merger.h"

struct mm_merger {
        struct mm_device *device;
        struct mm_device_domain domain;
        enum mergemod_huge huge;
        struct mm_merger_events events;
        void *userdata;
        size_t n;
        uint32_t n_groups;
        bool in_group; /* the last group takes more */
        struct mergemod_element *again; /* that were not ready, for a second try */
        size_t n_again, again_allocated;
        struct mergemod_element elements[MM_MERGER_ELEMENTS];
};

int mm_merger_new(struct mm_device *device, const struct mm_device_domain *domain, enum mergemod_huge huge,
                  const struct mm_merger_events *events, void *userdata, struct mm_merger **ret)
{
        struct mm_merger *m = malloc(sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->device = device;
        m->domain = *domain;
        m->huge = huge;
        m->events = *events;
        m->userdata = userdata;
        m->n = m->n_again = m->again_allocated = 0;
        m->n_groups = 0;
        m->in_group = false;
        m->again = NULL;
        *ret = m;
        return 0;
}

struct mm_merger *mm_merger_free(struct mm_merger *m)
{
        if (!m)
                return NULL;
        free(m->again);
        free(m);
        return NULL;
}

static int keep_for_later(struct mm_merger *m, const struct mergemod_element *e)
{
        struct mergemod_element *again;

        if (m->n_again >= m->again_allocated) {
                size_t allocated = MAX(m->again_allocated * 2, (size_t) 256);

                again = reallocarray(m->again, allocated, sizeof(*again));
                if (!again)
                        return -ENOMEM;
                m->again = again;
                m->again_allocated = allocated;
        }
        m->again[m->n_again++] = *e;
        return 0;
}

/* Another program has taken its place. */
static void forget(struct mm_merger *m, uint32_t target)
{
        mm_device_detach(m->device, target);
        for (size_t i = 0; i < m->n_again; i++)
                if (m->again[i].target == target && m->again[i].status == -EAGAIN)
                        m->again[i].status = -ESRCH;
        m->events.gone(m->userdata, target);
}

/* @last: what is not ready now stays as it is. */
static int merge(struct mm_merger *m, bool last)
{
        struct mergemod_merge sum;
        size_t n = 0;
        int r;

        if (m->n == 0)
                return 0;
        r = mm_device_merge(m->device, &m->domain, m->huge, m->elements, m->n, &sum);
        if (r < 0)
                return r;
        for (size_t i = 0; i < m->n; i++) {
                const struct mergemod_element *e = &m->elements[i];

                if (e->status == -ESRCH && (i + 1 == m->n || m->elements[i + 1].target != e->target))
                        forget(m, e->target);
                if (e->status != -EAGAIN || last || keep_for_later(m, e) < 0)
                        m->elements[n++] = *e;
        }
        m->n = 0;
        m->n_groups = 0;
        m->in_group = false;
        return m->events.merged(m->userdata, m->elements, n, &sum);
}

int mm_merger_begin_group(struct mm_merger *m, size_t n)
{
        int r = 0;

        if (m->n > 0 && m->n + n > MM_MERGER_ELEMENTS)
                r = merge(m, false);
        m->in_group = false;
        return r;
}

int mm_merger_add(struct mm_merger *m, uint32_t target, uint64_t address)
{
        int r;

        /* The rest of the group is one of its own to mergemod, which finds the frame. */
        if (m->n == MM_MERGER_ELEMENTS) {
                r = merge(m, false);
                if (r < 0)
                        return r;
        }
        if (!m->in_group)
                m->n_groups++;
        m->in_group = true;
        m->elements[m->n++] = (struct mergemod_element) {
                .address = address,
                .target = target,
                .group = m->n_groups - 1,
        };
        return 0;
}

/* Those whose target went before their second try: its number may be another's by now. */
static int give_up_gone(struct mm_merger *m)
{
        struct mergemod_merge sum = {};
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; i < m->n_again && r >= 0; i++) {
                if (m->again[i].status != -ESRCH)
                        continue;
                m->elements[n++] = m->again[i];
                if (n == MM_MERGER_ELEMENTS) {
                        r = m->events.merged(m->userdata, m->elements, n, &sum);
                        n = 0;
                }
        }
        return r < 0 || n == 0 ? r : m->events.merged(m->userdata, m->elements, n, &sum);
}

int mm_merger_finish(struct mm_merger *m)
{
        int r;

        r = merge(m, false);
        /* The frames of their groups are there by now, and are found by what is in them. */
        for (size_t i = 0; i < m->n_again && r >= 0; i++) {
                struct mergemod_element *e = &m->again[i];

                if (e->status != -EAGAIN)
                        continue;
                e->status = 0;
                e->group = (uint32_t) m->n;
                m->elements[m->n++] = *e;
                if (m->n == MM_MERGER_ELEMENTS)
                        r = merge(m, true);
        }
        if (r >= 0)
                r = merge(m, true);
        if (r >= 0)
                r = give_up_gone(m);
        m->n_again = 0;
        return r;
}
