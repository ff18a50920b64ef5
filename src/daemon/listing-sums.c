/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account-bus.h"
#include "daemon/listing.h"
#include "lib/owner.h"
#include "shared/format.h"
#include "shared/lookup.h"

/* Rows that are sums over processes: cgroups, and owners of memory. */

struct listing_sum {
        char *cgroup, *unit; /* "": of none, or of those that there is no room for */
        uint64_t hash; /* of the cgroup */
        uint32_t n_processes;
        uint64_t private_bytes;
        struct account_figures figures;
};

void listing_cgroups_done(struct listing *l)
{
        for (size_t i = 0; i < l->n_sums; i++) {
                free(l->sums[i].cgroup);
                free(l->sums[i].unit);
        }
        free(l->sums);
}

static struct listing_sum *add_sum(struct listing *l)
{
        struct listing_sum *sums;

        sums = array_grow(l->sums, l->n_sums, sizeof(*sums));
        if (!sums)
                return NULL;
        l->sums = sums;
        l->sums[l->n_sums] = (struct listing_sum) {};
        return &l->sums[l->n_sums++];
}

static int find_cgroup(struct listing *l, const char *cgroup, const char *unit, struct listing_sum **ret)
{
        _cleanup_(freep) char *cgroup_text = NULL, *unit_text = NULL;
        uint64_t hash = hash_text(cgroup);
        struct listing_sum *sum;
        int r;

        /* Processes of one cgroup tend to be neighbours. */
        for (size_t i = l->n_sums; i-- > 0;)
                if (l->sums[i].hash == hash && streq(l->sums[i].cgroup, cgroup)) {
                        *ret = &l->sums[i];
                        return 0;
                }
        r = answer_text_take(&l->text, cgroup, &cgroup_text);
        if (r > 0)
                r = answer_text_take(&l->text, unit, &unit_text);
        if (r < 0)
                return r;
        if (*cgroup && (r == 0 || l->n_sums >= LISTING_ROWS_MAX))
                return find_cgroup(l, "", "", ret);
        sum = add_sum(l);
        if (!sum)
                return -ENOMEM;
        sum->hash = hash;
        sum->cgroup = strdup(cgroup);
        sum->unit = strdup(unit);
        if (!sum->cgroup || !sum->unit) {
                free(sum->cgroup);
                free(sum->unit);
                l->n_sums--;
                return -ENOMEM;
        }
        *ret = sum;
        return 0;
}

int listing_cgroups_add(struct listing *l, const struct mm_process *p, const char *unit)
{
        const struct account_process *a = account_find(&l->manager->account, p->pid, p->start_ticks);
        struct listing_sum *sum;
        int r;

        r = find_cgroup(l, p->cgroup ?: "", unit ?: "", &sum);
        if (r < 0)
                return r;
        sum->n_processes++;
        sum->private_bytes += p->rss_anon_bytes;
        if (a)
                account_figures_add(&sum->figures, &a->figures);
        return 0;
}

void listing_sum_owners(struct listing *l)
{
        struct account *a = &l->manager->account;

        account_owners_clear(a);
        for (size_t i = 0; i < l->n_waiting; i++) {
                struct account_process *p = account_find(a, l->waiting[i].pid, l->waiting[i].start_ticks);

                if (p)
                        account_owners_add(p);
        }
}

static int end_row(struct listing *l, const struct account_figures *f)
{
        int r;

        r = sd_bus_message_open_container(l->reply, 'a', "{sv}");
        if (r >= 0)
                r = account_append(f, l->reply);
        if (r >= 0)
                r = sd_bus_message_close_container(l->reply);
        return r < 0 ? r : sd_bus_message_close_container(l->reply);
}

/* 1, or 0 if there is no room for its name. */
static int append_owner(struct listing *l, const char *kind, const char *raw_name, uint32_t n_processes,
                        const struct account_figures *f)
{
        _cleanup_(freep) char *name = NULL;
        int r;

        r = answer_text_take(&l->text, raw_name, &name);
        if (r <= 0)
                return r;
        r = sd_bus_message_open_container(l->reply, 'r', "ssua{sv}");
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "ssu", kind, name, n_processes);
        if (r >= 0)
                r = end_row(l, f);
        return r < 0 ? r : 1;
}

static int append_cgroup(struct listing *l, const struct listing_sum *sum)
{
        _cleanup_(freep) char *name = bus_text(sum->cgroup ?: "");
        int r;

        if (!name)
                return -ENOMEM;
        r = sd_bus_message_open_container(l->reply, 'r', "ssuta{sv}");
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "ssut", name, sum->unit ?: "", sum->n_processes,
                                          sum->private_bytes);
        return r < 0 ? r : end_row(l, &sum->figures);
}

/* Who sees all may add up. */
static bool is_whole(const struct listing *l)
{
        return l->selector.n_values == 0 && !l->selector.only_own;
}

void listing_cgroups(struct listing *l)
{
        struct listing_sum others = { .figures = l->total };
        int r = 0;

        for (size_t i = 0; i < l->n_sums && r >= 0; i++) {
                account_figures_subtract(&others.figures, &l->sums[i].figures);
                r = append_cgroup(l, &l->sums[i]);
        }
        if (r >= 0 && is_whole(l))
                r = append_cgroup(l, &others);
        if (r < 0)
                listing_fail(l, r);
        else
                listing_answer(l);
}

void listing_owners(struct listing *l)
{
        const struct account *a = &l->manager->account;
        struct account_figures others = {};
        bool rest = is_whole(l);
        int r = 0;

        manager_update_account(l->manager);
        listing_sum_owners(l);
        if (rest)
                others = a->total;
        for (size_t i = 0; i < a->owners.n && r >= 0; i++) {
                const struct account_line *o = a->owners.items[i];

                if (o->n_processes == 0)
                        continue;
                r = append_owner(l, mm_owner_kind_name(o->kind), o->name, o->n_processes, &o->sum);
                if (is_whole(l) && r > 0)
                        account_figures_subtract(&others, &o->sum);
                else if (!is_whole(l) && r == 0) {
                        account_figures_add(&others, &o->sum);
                        rest = true;
                }
        }
        if (r >= 0 && rest)
                r = append_owner(l, "others", "", 0, &others);
        if (r < 0)
                listing_fail(l, r);
        else
                listing_answer(l);
}
