/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/subscriber.h"
#include "shared/names.h"

static int add(Manager *m, sd_bus_message *call, enum auth_action granted, sd_bus_error *error)
{
        int r = 0;

        /* On the connection that is there for asking the bus: see struct callers. */
        if (!m->subscribers)
                r = sd_bus_track_new(m->auth.callers.bus, &m->subscribers, NULL, NULL);
        if (r < 0)
                return r;
        if (sd_bus_track_count(m->subscribers) >= SUBSCRIBERS_MAX)
                return sd_bus_error_set(error, MERGEMEM_ERROR_LIMITS, "Too many subscribe already.");
        r = sd_bus_track_add_name(m->subscribers, sd_bus_message_get_sender(call));
        return r < 0 ? r : sd_bus_reply_method_return(call, NULL);
}

int subscriber_add(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return auth_check(userdata, m, AUTH_INSPECT, add, error);
}

int subscriber_remove(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Manager *manager = userdata;
        int r = 0;

        if (manager->subscribers)
                r = sd_bus_track_remove_name(manager->subscribers, sd_bus_message_get_sender(m));
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

bool subscriber_is(const Manager *m, const char *name)
{
        return m->subscribers && sd_bus_track_contains(m->subscribers, name);
}

const char *subscriber_first(const Manager *m)
{
        return m->subscribers ? sd_bus_track_first(m->subscribers) : NULL;
}

const char *subscriber_next(const Manager *m)
{
        return sd_bus_track_next(m->subscribers);
}
