/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pwd.h>

#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/layout.h"
#include "ctl/verb-list.h"
#include "ctl/verbs.h"
#include "shared/log.h"
#include "shared/names.h"
#include "shared/parse.h"

/* Whose groups are meant: --user=, by name or number. *@ret_uid stays as it is if nobody is named. */
static int read_user(const struct options *o, bool *ret, uint32_t *ret_uid)
{
        const char *name = o->what.names[SELECTOR_USER].n > 0 ? o->what.names[SELECTOR_USER].items[0] : NULL;
        const struct passwd *user;
        uint64_t number;

        *ret = name;
        if (o->what.names[SELECTOR_USER].n > 1) {
                log_error("'%s' takes one --user.", o->verb->name);
                return MERGEMEM_EXIT_USAGE;
        }
        if (!name)
                return MERGEMEM_EXIT_DONE;
        if (parse_uint64(name, &number) >= 0 && number < UINT32_MAX) {
                *ret_uid = (uint32_t) number;
                return MERGEMEM_EXIT_DONE;
        }
        user = getpwnam(name);
        if (!user) {
                log_error("There is no user \"%s\" here.", name);
                return MERGEMEM_EXIT_NOTHING_MATCHED;
        }
        *ret_uid = user->pw_uid;
        return MERGEMEM_EXIT_DONE;
}

static int call_list(sd_bus *bus, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int status;

        status = manager_call_new(bus, "Layouts", NULL, &call);
        return status == MERGEMEM_EXIT_DONE ? bus_call(bus, call, ret) : status;
}

static int list(const struct options *o, sd_bus *bus, const uint32_t *uid)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(table_freep) struct table *t = NULL;
        struct output out = options_output(o, stdout);
        int status, r;

        status = call_list(bus, &reply);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = layouts_table(&out, reply, uid, &t);
        if (r < 0)
                return bus_bad_reply(r);
        return o->quiet ? MERGEMEM_EXIT_DONE : output_status(list_print(&out, t));
}

static int rotate_one(sd_bus *bus, const char *group, uint32_t uid)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        int status, r;

        status = manager_call_new(bus, "RotateLayout", NULL, &call);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = sd_bus_message_append(call, "su", group, uid);
        return r < 0 ? bus_error_report(NULL, r) : bus_call(bus, call, &reply);
}

/* Of all users that one sees. */
static int rotate_all(sd_bus *bus, const char *group, size_t *ret_n)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int status = call_list(bus, &reply), r;
        struct layout_row row;

        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = sd_bus_message_enter_container(reply, 'a', "(subtta{sv})");
        if (r < 0)
                return bus_bad_reply(r);
        while ((r = layout_row_read(reply, &row)) > 0 && status == MERGEMEM_EXIT_DONE) {
                if (!streq(row.name, group))
                        continue;
                status = rotate_one(bus, group, row.uid);
                ++*ret_n;
        }
        return r < 0 ? bus_bad_reply(r) : status;
}

static int print_rotated(const struct options *o, const char *group, size_t n)
{
        static const struct column columns[] = {
                { .key = "name", .type = COLUMN_TEXT },
                { .key = "drawn", .type = COLUMN_NUMBER },
        };
        struct output out = options_output(o, stdout);

        if (o->json != JSON_OFF)
                return json_print_row(&out, columns, ELEMENTSOF(columns),
                                      (struct cell[]){ { .text = group }, { .number = n } });
        printf("The layout of %s is drawn anew: processes that start from now on get it, those that run "
               "keep theirs.\n",
               group);
        return 0;
}

static int rotate(const struct options *o, sd_bus *bus, const uint32_t *uid)
{
        const char *group = o->args[1];
        size_t n = uid ? 1 : 0;
        int status;

        status = uid ? rotate_one(bus, group, *uid) : rotate_all(bus, group, &n);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        if (n == 0) {
                log_error("There is no layout group \"%s\".", group);
                return MERGEMEM_EXIT_NOTHING_MATCHED;
        }
        return o->quiet ? MERGEMEM_EXIT_DONE : output_status(print_rotated(o, group, n));
}

int verb_layouts(const struct options *o)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        bool has_user = false;
        uint32_t uid = 0;
        int status;

        if (o->n_args > 0 && (!streq(o->args[0], "rotate") || o->n_args < 2)) {
                log_error("'layouts' takes no argument, or \"rotate\" and the name of a group.");
                return MERGEMEM_EXIT_USAGE;
        }
        status = read_user(o, &has_user, &uid);
        if (status == MERGEMEM_EXIT_DONE)
                status = bus_connect(o, &bus);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        return (o->n_args > 0 ? rotate : list)(o, bus, has_user ? &uid : NULL);
}
