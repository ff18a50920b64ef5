/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verb-list.h"

#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/verbs.h"
#include "shared/log.h"
#include "shared/names.h"

static const struct list {
        const char *name;
        const char *method;
        bool takes_selector;
        bool takes_library; /* --shlib means memory, which only some lists are about */
        int (*table)(const struct output *out, sd_bus_message *m, struct table **ret);
} lists[] = {
        { "libraries", "ListLibraries", true, true, list_libraries_table },
        { "processes", "ListProcesses", true, false, list_processes_table },
        { "cgroups", "ListCgroups", true, false, list_cgroups_table },
        { "owners", "ListOwners", true, false, list_owners_table },
        { "rules", "ListRules", false, false, list_rules_table },
        { "jobs", "ListJobs", false, false, list_jobs_table },
};

static const struct list *list_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                if (streq(lists[i].name, name))
                        return lists + i;
        return NULL;
}

int list_rows(const struct output *out, const char *key, const struct column *columns, size_t n_columns,
              sd_bus_message *m, const char *type, int (*add)(sd_bus_message *m, struct table *t),
              struct table **ret)
{
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        r = table_new(out, key, columns, n_columns, &t);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(m, 'a', NULL);
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', type)) > 0) {
                r = add(m, t);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

int list_print(const struct output *out, struct table *t)
{
        _cleanup_(json_document_done) struct json_document d = {};
        int r;

        if (out->json == JSON_OFF)
                return table_print(t);
        r = json_document_init(&d);
        if (r < 0)
                return r;
        r = json_append_array(&d, t);
        if (r < 0)
                return r;
        return json_document_print(&d, out);
}

static int show(const struct options *o, const struct list *list)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_(table_freep) struct table *t = NULL;
        struct output out = options_output(o, stdout);
        int status, r;

        status = bus_connect(o, &bus);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        status = manager_call_new(bus, list->method, list->takes_selector ? &o->what : NULL, &call);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        status = bus_call(bus, call, &reply);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = list->table(&out, reply, &t);
        if (r < 0)
                return bus_bad_reply(r);
        return o->quiet ? MERGEMEM_EXIT_DONE : output_status(list_print(&out, t));
}

int verb_list(const struct options *o)
{
        const struct list *list = list_find(o->args[0]);

        if (!list) {
                log_error("Unknown list '%s'.", o->args[0]);
                return MERGEMEM_EXIT_USAGE;
        }
        if (!list->takes_selector && (!selector_is_empty(&o->what) || o->what.others)) {
                log_error("'list %s' takes no selector.", list->name);
                return MERGEMEM_EXIT_USAGE;
        }
        if (!list->takes_library && o->what.names[SELECTOR_SHLIB].n > 0) {
                log_error("'list %s' takes no --shlib: only 'list libraries' does.", list->name);
                return MERGEMEM_EXIT_USAGE;
        }
        return show(o, list);
}

int verb_config(const struct options *o)
{
        static const struct list settings = { .method = "ListSettings", .table = list_settings_table };

        return show(o, &settings);
}
