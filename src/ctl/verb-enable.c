/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/bus.h"
#include "ctl/job.h"
#include "ctl/json.h"
#include "ctl/report.h"
#include "ctl/rule.h"
#include "ctl/verbs.h"
#include "shared/log.h"
#include "shared/names.h"

/* The name given, or one made of the selector. */
static int name_of(const struct options *o, char **ret)
{
        if (o->n_args == 0 && selector_is_empty(&o->what)) {
                log_error("'%s' needs to be told which rule, by its name or by a selector.", o->verb->name);
                return MERGEMEM_EXIT_USAGE;
        }
        *ret = o->n_args > 0 ? strdup(o->args[0]) : rule_name(&o->what);
        return *ret ? MERGEMEM_EXIT_DONE : bus_error_report(NULL, -ENOMEM);
}

static int call_new(sd_bus *bus, const char *method, const char *name, const struct selector *what,
                    sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int status, r = 0;

        status = manager_call_new(bus, method, NULL, &m);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        if (name)
                r = sd_bus_message_append(m, "s", name);
        if (r >= 0 && what)
                r = rule_append(what, m);
        if (r < 0)
                return r == -EINVAL ? MERGEMEM_EXIT_USAGE : bus_error_report(NULL, r);
        *ret = TAKE_PTR(m);
        return MERGEMEM_EXIT_DONE;
}

static int call_and_wait(const struct options *o, const char *method, const char *name,
                         const struct selector *what)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        int status;

        status = bus_connect(o, &bus);
        if (status == MERGEMEM_EXIT_DONE)
                status = call_new(bus, method, name, what, &call);
        return status == MERGEMEM_EXIT_DONE ? bus_call(bus, call, &reply) : status;
}

/* What it would save. MERGEMEM_EXIT_NOTHING_MATCHED: nothing of it runs yet. */
static int try(const struct options *o)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        sd_bus *bus;
        int status;

        status = bus_connect(o, &bus);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        status = call_new(bus, "TryRule", NULL, &o->what, &call);
        if (status != MERGEMEM_EXIT_DONE) {
                sd_bus_flush_close_unref(bus);
                return status;
        }
        return job_follow(o, bus, call, estimate_print);
}

static int print_json(const struct options *o, const char *name)
{
        static const struct column columns[] = { { .key = "rule", .type = COLUMN_TEXT } };
        struct output out = options_output(o, stdout);

        return json_print_row(&out, columns, ELEMENTSOF(columns), &(struct cell){ .text = name });
}

/* In JSON the estimate is all, if there is one. */
static int print_set(const struct options *o, const char *name, bool estimated)
{
        if (o->json != JSON_OFF)
                return estimated ? 0 : print_json(o, name);
        printf("The rule %s is set. \"mergememctl disable %s\" takes it back.\n", name, name);
        return 0;
}

int verb_enable(const struct options *o)
{
        _cleanup_(freep) char *name = NULL;
        int status, tried;

        status = name_of(o, &name);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        tried = try(o);
        /* That nothing runs yet is no reason not to have the rule. */
        if (tried != MERGEMEM_EXIT_DONE && tried != MERGEMEM_EXIT_NOTHING_MATCHED)
                return tried;
        status = call_and_wait(o, "SetRule", name, &o->what);
        if (status == MERGEMEM_EXIT_DONE && !o->quiet)
                status = output_status(print_set(o, name, tried == MERGEMEM_EXIT_DONE));
        return status;
}

static int print_removed(const struct options *o, const char *name)
{
        if (o->json != JSON_OFF)
                return print_json(o, name);
        printf("The rule %s is removed. What is merged stays so until it is unmerged.\n", name);
        return 0;
}

int verb_disable(const struct options *o)
{
        _cleanup_(freep) char *name = NULL;
        int status;

        if (o->n_args > 0 && !selector_is_empty(&o->what)) {
                log_error("'disable' takes the name of a rule or selectors, not both.");
                return MERGEMEM_EXIT_USAGE;
        }
        status = name_of(o, &name);
        if (status == MERGEMEM_EXIT_DONE)
                status = call_and_wait(o, "RemoveRule", name, NULL);
        if (status == MERGEMEM_EXIT_DONE && !o->quiet)
                status = output_status(print_removed(o, name));
        return status;
}
