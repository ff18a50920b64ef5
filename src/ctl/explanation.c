/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verb-explain.h"

static int compare_owners(const void *a, const void *b)
{
        const struct explained_owner *x = a, *y = b;

        if (x->figures.duplicate_frames != y->figures.duplicate_frames)
                return x->figures.duplicate_frames > y->figures.duplicate_frames ? -1 : 1;
        if (x->figures.present_pages != y->figures.present_pages)
                return x->figures.present_pages > y->figures.present_pages ? -1 : 1;
        return strcmp(x->name, y->name);
}

static int read_owner(sd_bus_message *m, struct explained_owner *o)
{
        static const struct dict_field fields[] = { FIGURES_FIELDS(struct explained_owner, figures) };
        const char *kind, *name, *rule;
        int r;

        r = sd_bus_message_read(m, "sss", &kind, &name, &rule);
        if (r < 0)
                return r;
        o->kind = strdup(kind);
        o->name = strdup(name);
        o->rule = strdup(rule);
        if (!o->kind || !o->name || !o->rule)
                return -ENOMEM;
        return dict_read(m, fields, ELEMENTSOF(fields), o);
}

static int read_owners(sd_bus_message *m, void *p)
{
        struct explained_owners *owners = p;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sssa{sv})");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', "sssa{sv}")) > 0) {
                struct explained_owner *items;

                items = reallocarray(owners->items, owners->n + 1, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                owners->items = items;
                items[owners->n] = (struct explained_owner){};
                r = read_owner(m, &items[owners->n++]);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (owners->n > 0)
                qsort(owners->items, owners->n, sizeof(*owners->items), compare_owners);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

#define FIELD(key, type, read) { #key, type, read, offsetof(struct explanation, key) }

int explanation_read(sd_bus_message *m, struct explanation *e)
{
        static const struct dict_field fields[] = {
                FIELD(pid, "u", dict_read_u32),
                FIELD(uid, "u", dict_read_u32),
                FIELD(comm, "s", dict_read_text),
                FIELD(exe, "s", dict_read_text),
                FIELD(cgroup, "s", dict_read_text),
                FIELD(unit, "s", dict_read_text),
                FIELD(rule, "s", dict_read_text),
                FIELD(rule_file, "s", dict_read_text),
                FIELD(rule_line, "u", dict_read_u32),
                FIELD(merge, "s", dict_read_text),
                FIELD(trust, "s", dict_read_text),
                FIELD(mechanism, "s", dict_read_text),
                FIELD(domain, "s", dict_read_text),
                FIELD(busy_domain, "s", dict_read_text),
                FIELD(excluded, "s", dict_read_text),
                FIELD(zero_only, "b", dict_read_bool),
                FIELD(mechanism_works, "b", dict_read_bool),
                FIELD(liftable, "b", dict_read_bool),
                FIELD(busy, "b", dict_read_bool),
                FIELD(min_age_usec, "t", dict_read_u64),
                FIGURES_FIELDS(struct explanation, figures),
                FIELD(owners, "a(sssa{sv})", read_owners),
        };

        char **const said[] = { &e->comm,   &e->exe,       &e->unit,   &e->rule,       &e->merge,
                                &e->trust,  &e->mechanism, &e->domain, &e->busy_domain, &e->excluded };
        int r;

        r = dict_read(m, fields, ELEMENTSOF(fields), e);
        for (size_t i = 0; i < ELEMENTSOF(said) && r >= 0; i++)
                if (!*said[i])
                        r = -EBADMSG;
        return r;
}

void explanation_done(struct explanation *e)
{
        char *const texts[] = { e->comm,  e->exe,       e->cgroup, e->unit,        e->rule,    e->rule_file,
                                e->merge, e->trust,     e->domain, e->busy_domain, e->excluded,
                                e->mechanism };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                free(texts[i]);
        for (size_t i = 0; i < e->owners.n; i++) {
                free(e->owners.items[i].kind);
                free(e->owners.items[i].name);
                free(e->owners.items[i].rule);
        }
        free(e->owners.items);
}
