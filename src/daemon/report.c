/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/report.h"
#include "lib/hash.h"
#include "lib/owner.h"
#include "shared/bus.h"
#include "shared/format.h"
#include "shared/lookup.h"

static void counts_done(struct report_counts *c)
{
        for (size_t i = 0; i < c->n; i++)
                free(c->items[i].name);
        free(c->items);
        *c = (struct report_counts) {};
}

static void owners_done(struct report *r)
{
        for (size_t i = 0; i < r->n_owners; i++)
                free(r->owners[i].name);
        free(r->owners);
        r->owners = NULL;
        r->n_owners = 0;
        r->owners_text = (struct answer_text) {};
}

uint64_t report_saved_bytes(const struct report *r)
{
        uint64_t gross = r->n_saved * MM_PAGE_SIZE;

        return gross - MIN(gross, r->metadata_bytes);
}

void report_done(struct report *r)
{
        counts_done(&r->excluded);
        counts_done(&r->skipped);
        counts_done(&r->refused);
        owners_done(r);
        for (size_t i = 0; i < r->n_domains; i++)
                free(r->domains[i].text);
        free(r->domains);
        free(r->domain_slots);
        *r = (struct report) {};
}

void report_restart(struct report *r)
{
        counts_done(&r->skipped);
        owners_done(r);
        r->n_processes = 0;
        r->n_pages = r->n_swapped = r->n_ksm = r->n_read = 0;
        r->n_duplicates = r->n_zero = r->n_anonymous = r->n_huge = 0;
        for (size_t i = 0; i < r->n_domains; i++) {
                r->domains[i].n_duplicates = 0;
                r->domains[i].n_anonymous = 0;
                r->domains[i].n_processes = 0;
        }
}

int report_count(struct report_counts *c, const char *name, uint64_t n)
{
        struct report_count *items;
        char *copy;

        for (size_t i = 0; i < c->n; i++)
                if (streq(c->items[i].name, name)) {
                        c->items[i].n += n;
                        return 0;
                }
        items = reallocarray(c->items, c->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        c->items = items;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        c->items[c->n++] = (struct report_count) { .name = copy, .n = n };
        return 0;
}

static struct report_owner *find_owner(struct report *r, uint32_t kind, const char *name)
{
        uint64_t hash = hash_text(name);

        for (size_t i = 0; i < r->n_owners; i++)
                if (r->owners[i].hash == hash && r->owners[i].kind == kind &&
                    streq(r->owners[i].name, name))
                        return &r->owners[i];
        return NULL;
}

/* Takes @name over. NULL: no memory. */
static struct report_owner *add_owner(struct report *r, uint32_t kind, char **name)
{
        struct report_owner *o = array_grow(r->owners, r->n_owners, sizeof(*o));

        if (!o)
                return NULL;
        r->owners = o;
        o = &r->owners[r->n_owners++];
        *o = (struct report_owner) { .kind = kind, .name = *name, .hash = hash_text(*name) };
        *name = NULL;
        return o;
}

int report_add_owner(struct report *r, const struct worker_owner *row, const char *raw_name, bool first)
{
        _cleanup_(freep) char *name = bus_text(raw_name), *taken = NULL;
        struct report_owner *o;
        int k = 0;

        if (!name)
                return -ENOMEM;
        o = find_owner(r, row->kind, name);
        if (!o) {
                if (r->n_owners < REPORT_OWNERS_MAX)
                        k = answer_text_take(&r->owners_text, raw_name, &taken);
                if (k == 0) {
                        o = find_owner(r, row->kind, "others");
                        taken = o ? NULL : strdup("others");
                }
                if (!o && taken)
                        o = add_owner(r, row->kind, &taken);
                if (!o)
                        return -ENOMEM;
        }
        o->n_duplicates += row->n_duplicates;
        o->n_zero += row->n_zero;
        if (first)
                o->n_pages += row->n_pages;
        return 0;
}

/* The slot of the domain @text, or the one where it would be. */
static uint32_t *domain_slot(const struct report *r, const char *text, uint64_t hash)
{
        for (size_t i = hash;; i++) {
                uint32_t *slot = &r->domain_slots[i & (r->n_domain_slots - 1)];
                const struct report_domain *d;

                if (*slot == 0)
                        return slot;
                d = &r->domains[*slot - 1];
                if (d->hash == hash && streq(d->text, text))
                        return slot;
        }
}

static int domain_slots_grow(struct report *r)
{
        size_t n = MAX(2 * r->n_domain_slots, (size_t) 16);
        uint32_t *slots;

        if (2 * (r->n_domains + 1) <= r->n_domain_slots)
                return 0;
        slots = calloc(n, sizeof(*slots));
        if (!slots)
                return -ENOMEM;
        free(r->domain_slots);
        r->domain_slots = slots;
        r->n_domain_slots = n;
        for (size_t i = 0; i < r->n_domains; i++)
                *domain_slot(r, r->domains[i].text, r->domains[i].hash) = (uint32_t) i + 1;
        return 0;
}

int report_find_domain(struct report *r, const char *text, uint32_t *ret)
{
        struct report_domain *domains;
        uint64_t hash = hash_text(text);
        uint32_t *slot;
        char *copy;
        int q;

        q = domain_slots_grow(r);
        if (q < 0)
                return q;
        slot = domain_slot(r, text, hash);
        if (*slot > 0) {
                *ret = *slot - 1;
                return 0;
        }
        domains = array_grow(r->domains, r->n_domains, sizeof(*domains));
        if (!domains)
                return -ENOMEM;
        r->domains = domains;
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        *ret = (uint32_t) r->n_domains;
        r->domains[r->n_domains++] = (struct report_domain) { .text = copy, .hash = hash };
        *slot = (uint32_t) r->n_domains;
        return 0;
}

static int append_counts(sd_bus_message *m, const char *key, const struct report_counts *c, const char *type)
{
        bool wide = streq(type, "(st)");
        int r;

        r = bus_open_array(m, key, type);
        for (size_t i = 0; i < c->n && r >= 0; i++)
                r = wide ? sd_bus_message_append(m, "(st)", c->items[i].name, c->items[i].n)
                         : sd_bus_message_append(m, "(su)", c->items[i].name, (uint32_t) c->items[i].n);
        return r < 0 ? r : bus_close_array(m);
}

static int append_owners(const struct report *report, sd_bus_message *m)
{
        int r;

        r = bus_open_array(m, "owners", "(sstttt)");
        for (size_t i = 0; i < report->n_owners && r >= 0; i++) {
                const struct report_owner *o = &report->owners[i];

                r = sd_bus_message_append(m, "(sstttt)", mm_owner_kind_name(o->kind), o->name, o->n_pages,
                                          o->n_duplicates, o->n_zero, o->n_pages * MM_PAGE_SIZE);
        }
        return r < 0 ? r : bus_close_array(m);
}

static int append_domain(sd_bus_message *m, const char *text, const struct report_domain *d)
{
        return sd_bus_message_append(m, "(stuu)", text, d->n_duplicates, d->n_processes,
                                     (uint32_t) d->chosen);
}

/* Paths of cgroups are in their names: those that there is no room for are told in one row. */
static int append_domains(const struct report *report, sd_bus_message *m)
{
        struct report_domain others = {};
        struct answer_text texts = {};
        bool any_others = false;
        int r;

        r = bus_open_array(m, "domains", "(stuu)");
        for (size_t i = 0; i < report->n_domains && r >= 0; i++) {
                const struct report_domain *d = &report->domains[i];
                _cleanup_(freep) char *text = NULL;

                r = answer_text_take(&texts, d->text, &text);
                if (r > 0) {
                        r = append_domain(m, text, d);
                        continue;
                }
                others.n_duplicates += d->n_duplicates;
                others.n_processes += d->n_processes;
                others.chosen = others.chosen || d->chosen;
                any_others = true;
        }
        if (r >= 0 && any_others)
                r = append_domain(m, "others", &others);
        return r < 0 ? r : bus_close_array(m);
}

static int append_found(const struct report *report, bool ksm, bool direct, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "duration_usec", "t",
                                  report->duration_usec, "pages", "t", report->n_pages, "swapped_pages",
                                  "t", report->n_swapped, "ksm_pages", "t", report->n_ksm,
                                  "duplicate_frames", "t", report->n_duplicates, "zero_frames", "t",
                                  report->n_zero, "huge_frames", "t", report->n_huge);
        if (r >= 0 && ksm && direct)
                r = sd_bus_message_append(m, "{sv}", "mechanisms", "a(st)", 2, "direct", report->n_anonymous,
                                          "ksm", report->n_duplicates + report->n_huge);
        else if (r >= 0 && (ksm || direct))
                r = sd_bus_message_append(m, "{sv}", "mechanisms", "a(st)", 1, ksm ? "ksm" : "direct",
                                          ksm ? report->n_duplicates + report->n_huge : report->n_anonymous);
        else if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "mechanisms", "a(st)", 0);
        if (r >= 0)
                r = append_domains(report, m);
        if (r >= 0)
                r = append_owners(report, m);
        return r;
}

int report_append(const struct report *report, const char *type, bool ksm, bool direct, sd_bus_message *m)
{
        bool merge = streq(type, "merge"), unmerge = streq(type, "unmerge");
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "processes", "u", report->n_processes);
        if (r >= 0)
                r = append_counts(m, "excluded", &report->excluded, "(su)");
        if (r >= 0)
                r = append_counts(m, "skipped", &report->skipped, "(su)");
        if (r >= 0 && !unmerge)
                r = append_found(report, ksm, direct, m);
        if (r >= 0 && merge) {
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}", "mechanism", "s",
                                          report->mechanism ?: "", "merged_pages", "t", report->n_merged,
                                          "saved_frames", "t", report->n_saved, "shared_frames", "t",
                                          report->n_shared, "metadata_bytes", "t", report->metadata_bytes);
                if (r >= 0)
                        r = append_counts(m, "refused", &report->refused, "(st)");
        }
        if (r >= 0 && unmerge)
                r = sd_bus_message_append(m, "{sv}{sv}", "unmerged_pages", "t", report->n_unmerged,
                                          "duration_usec", "t", report->duration_usec);
        if (r >= 0 && (merge || unmerge))
                r = sd_bus_message_append(m, "{sv}", "stop_usec", "t", report->stop_usec);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r;
}
