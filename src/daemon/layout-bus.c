/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/layout-bus.h"
#include "daemon/manager.h"
#include "shared/clock.h"
#include "shared/log.h"
#include "shared/names.h"

/* What a call costs of a store that users have for these calls alone, see quota.h: 8192 at once, and in the
 * long run 128 a second. */
#define CALL_PAGES (QUOTA_PAGES_PER_SEC / 128)

int layout_bus_limit(Manager *m, uid_t uid, sd_bus_error *error)
{
        struct quotas *q = &m->layouts.quotas;
        uint64_t now = 0;

        (void) sd_event_now(m->event, CLOCK_MONOTONIC, &now);
        if (uid == 0)
                return 0;
        if (quota_left(q, uid, now) < CALL_PAGES)
                return sd_bus_error_set(error, MERGEMEM_ERROR_LIMITS,
                                        "This user has asked for layouts too often: try again in a while.");
        quota_take(q, uid, CALL_PAGES, now);
        return 0;
}

int layout_bus_bad_name(sd_bus_error *error)
{
        return sd_bus_error_set(error, MERGEMEM_ERROR_BAD_LAYOUT,
                                "No layout group is called that: names have up to 255 letters, digits and "
                                ":_.-@\\.");
}

static int append_layout(sd_bus_message *m, const struct layout *g)
{
        int r;

        r = sd_bus_message_open_container(m, 'r', "subtta{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "subtt", g->name, (uint32_t) g->uid, (int) g->unit,
                                          g->drawn_usec, g->n_given);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && g->n_given > 0)
                r = sd_bus_message_append(m, "{sv}", "last_usec", "t", g->last_usec);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}", "processes", "u", (uint32_t) g->n_processes, "more",
                                          "b", (int) g->forgetful);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int layout_bus_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Manager *manager = userdata;
        struct layouts *l = &manager->layouts;
        uid_t uid;
        int r;

        r = auth_caller(manager, m, &uid, error);
        if (r >= 0)
                r = layout_bus_limit(manager, uid, error);
        if (r < 0)
                return r;
        layouts_sweep(l);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(subtta{sv})");
        for (size_t i = 0; i < l->n && r >= 0; i++)
                if (uid == 0 || l->items[i]->uid == uid)
                        r = append_layout(reply, l->items[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* What a unit and somebody else call the same: both are meant. */
static int rotate(Manager *manager, sd_bus_message *m, enum auth_action granted, sd_bus_error *error)
{
        const char *name;
        bool any = false;
        uint32_t uid;
        int r;

        r = sd_bus_message_read(m, "su", &name, &uid);
        for (int unit = 0; unit < 2 && r >= 0; unit++) {
                struct layout *g = layouts_find(&manager->layouts, unit, uid, name);

                if (!g)
                        continue;
                any = true;
                r = layouts_rotate(&manager->layouts, g, clock_usec(CLOCK_REALTIME));
                if (r >= 0)
                        log_info("The layout of %s %s of user %u is drawn anew.", unit ? "unit" : "group",
                                 name, uid);
        }
        if (r < 0)
                return r;
        if (!any)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_NO_SUCH_LAYOUT,
                                         "User %u has no layout group \"%s\".", uid, name);
        return sd_bus_reply_method_return(m, NULL);
}

int layout_bus_rotate(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Manager *manager = userdata;
        const char *name;
        uint32_t of;
        uid_t uid;
        int r;

        r = sd_bus_message_read(m, "su", &name, &of);
        if (r < 0)
                return r;
        if (!layout_name_is_valid(name))
                return layout_bus_bad_name(error);
        r = auth_caller(manager, m, &uid, error);
        if (r >= 0)
                r = layout_bus_limit(manager, uid, error);
        if (r < 0)
                return r;
        if (of != uid)
                return auth_check(manager, m, AUTH_CONFIGURE, rotate, error);
        r = sd_bus_message_rewind(m, true);
        return r < 0 ? r : rotate(manager, m, AUTH_CONFIGURE, error);
}
