/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/result.h"

#include "ctl/dict.h"

static void tallies_done(struct tallies *t)
{
        for (size_t i = 0; i < t->n; i++)
                free(t->items[i].text);
        free(t->items);
        *t = (struct tallies){};
}

static void domains_done(struct result_domains *d)
{
        for (size_t i = 0; i < d->n; i++)
                free(d->items[i].name);
        free(d->items);
        *d = (struct result_domains){};
}

static void owners_done(struct result_owners *o)
{
        for (size_t i = 0; i < o->n; i++) {
                free(o->items[i].kind);
                free(o->items[i].name);
        }
        free(o->items);
        *o = (struct result_owners){};
}

/* Two arrays of one kind, told apart by the width of their numbers. */
static int read_tallies(sd_bus_message *m, struct tallies *t, bool wide)
{
        int r;

        tallies_done(t);
        r = sd_bus_message_enter_container(m, 'a', wide ? "(st)" : "(su)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', wide ? "st" : "su")) > 0) {
                struct tally *item;

                item = reallocarray(t->items, t->n + 1, sizeof(*item));
                if (!item)
                        return -ENOMEM;
                t->items = item;
                item += t->n++;
                *item = (struct tally){};

                r = dict_read_text(m, &item->text);
                if (r < 0)
                        return r;
                r = wide ? dict_read_u64(m, &item->n) : dict_read_u32(m, &item->n);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_processes(sd_bus_message *m, void *p)
{
        return read_tallies(m, p, false);
}

static int read_pages(sd_bus_message *m, void *p)
{
        return read_tallies(m, p, true);
}

static int read_domains(sd_bus_message *m, void *p)
{
        struct result_domains *domains = p;
        struct result_domain *items, d;
        uint32_t chosen;
        const char *name;
        int r;

        domains_done(domains);
        r = sd_bus_message_enter_container(m, 'a', "(stuu)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(stuu)", &name, &d.duplicate_frames, &d.processes,
                                        &chosen)) > 0) {
                items = reallocarray(domains->items, domains->n + 1, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                domains->items = items;

                d.chosen = chosen != 0;
                d.name = strdup(name);
                if (!d.name)
                        return -ENOMEM;
                items[domains->n++] = d;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* The most rewarding first. */
static int owner_compare(const void *a, const void *b)
{
        const struct result_owner *x = a, *y = b;

        if (x->duplicate_frames != y->duplicate_frames)
                return x->duplicate_frames > y->duplicate_frames ? -1 : 1;
        if (x->pages != y->pages)
                return x->pages > y->pages ? -1 : 1;
        return strcmp(x->name, y->name);
}

static int read_owners(sd_bus_message *m, void *p)
{
        struct result_owners *owners = p;
        struct result_owner *items, o;
        const char *kind, *name;
        int r;

        owners_done(owners);
        r = sd_bus_message_enter_container(m, 'a', "(sstttt)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(sstttt)", &kind, &name, &o.pages, &o.duplicate_frames,
                                        &o.zero_frames, &o.private_bytes)) > 0) {
                items = reallocarray(owners->items, owners->n + 1, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                owners->items = items;

                o.kind = strdup(kind);
                o.name = strdup(name);
                items[owners->n++] = o;
                if (!o.kind || !o.name)
                        return -ENOMEM;
        }
        if (r < 0)
                return r;
        if (owners->n > 0)
                qsort(owners->items, owners->n, sizeof(*owners->items), owner_compare);
        return sd_bus_message_exit_container(m);
}

#define FIELD(key, type, read, member) { key, type, read, offsetof(struct result, member) }

static int read_result(sd_bus_message *m, void *p)
{
        static const struct dict_field fields[] = {
                FIELD("processes", "u", dict_read_u32, processes),
                FIELD("excluded", "a(su)", read_processes, excluded),
                FIELD("skipped", "a(su)", read_processes, skipped),
                FIELD("duration_usec", "t", dict_read_u64, duration_usec),
                FIELD("pages", "t", dict_read_u64, pages),
                FIELD("swapped_pages", "t", dict_read_u64, swapped_pages),
                FIELD("ksm_pages", "t", dict_read_u64, ksm_pages),
                FIELD("duplicate_frames", "t", dict_read_u64, duplicate_frames),
                FIELD("zero_frames", "t", dict_read_u64, zero_frames),
                FIELD("huge_frames", "t", dict_read_u64, huge_frames),
                FIELD("mechanisms", "a(st)", read_pages, mechanisms),
                FIELD("domains", "a(stuu)", read_domains, domains),
                FIELD("owners", "a(sstttt)", read_owners, owners),
                FIELD("mechanism", "s", dict_read_text, mechanism),
                FIELD("merged_pages", "t", dict_read_u64, merged_pages),
                FIELD("saved_frames", "t", dict_read_u64, saved_frames),
                FIELD("shared_frames", "t", dict_read_u64, shared_frames),
                FIELD("metadata_bytes", "t", dict_read_u64, metadata_bytes),
                FIELD("refused", "a(st)", read_pages, refused),
                FIELD("stop_usec", "t", dict_read_u64, stop_usec),
                FIELD("unmerged_pages", "t", dict_read_u64, unmerged_pages),
        };

        return dict_read(m, fields, ELEMENTSOF(fields), p);
}

static int read_error(sd_bus_message *m, void *p)
{
        struct job_error *e = p;
        int r;

        r = sd_bus_message_enter_container(m, 'r', "ss");
        if (r < 0)
                return r;
        r = dict_read_text(m, &e->name);
        if (r < 0)
                return r;
        r = dict_read_text(m, &e->message);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int job_status_read(sd_bus_message *m, struct job_status *status)
{
        static const struct dict_field fields[] = {
                { "Type", "s", dict_read_text, offsetof(struct job_status, type) },
                { "State", "s", dict_read_text, offsetof(struct job_status, state) },
                { "Progress", "d", dict_read_double, offsetof(struct job_status, progress) },
                { "Result", "a{sv}", read_result, offsetof(struct job_status, result) },
                { "Error", "(ss)", read_error, offsetof(struct job_status, error) },
        };

        return dict_read(m, fields, ELEMENTSOF(fields), status);
}

void job_status_done(struct job_status *status)
{
        struct result *r = &status->result;

        free(status->type);
        free(status->state);
        free(status->error.name);
        free(status->error.message);
        tallies_done(&r->excluded);
        tallies_done(&r->skipped);
        tallies_done(&r->mechanisms);
        tallies_done(&r->refused);
        domains_done(&r->domains);
        owners_done(&r->owners);
        free(r->mechanism);
}

bool job_status_is_final(const struct job_status *status)
{
        const char *state = status->state;

        return state && (streq(state, "done") || streq(state, "failed") || streq(state, "cancelled"));
}
