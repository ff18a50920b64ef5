/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/subscriber.h"
#include "shared/names.h"

struct subscriber {
        Manager *manager;
        char *name;
        sd_bus_slot *watch, *question; /* its end; whether it has come already */
};

static struct subscriber *subscriber_free(struct subscriber *s)
{
        Manager *m;

        if (!s)
                return NULL;
        m = s->manager;
        for (size_t i = 0; i < m->n_subscribers; i++)
                if (m->subscribers[i] == s)
                        m->subscribers[i] = m->subscribers[--m->n_subscribers];
        sd_bus_slot_unref(s->watch);
        sd_bus_slot_unref(s->question);
        free(s->name);
        free(s);
        return NULL;
}
DEFINE_CLEANUP_FUNC(struct subscriber *, subscriber_free)

void subscribers_done(Manager *m)
{
        while (m->n_subscribers > 0)
                subscriber_free(m->subscribers[0]);
}

static struct subscriber *find(const Manager *m, const char *name)
{
        for (size_t i = 0; i < m->n_subscribers; i++)
                if (streq(m->subscribers[i]->name, name))
                        return m->subscribers[i];
        return NULL;
}

static int on_gone(sd_bus_message *signal, void *userdata, sd_bus_error *unused)
{
        subscriber_free(userdata);
        return 0;
}

static int on_owner(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        /* It ended before it was watched; or the bus is in trouble, and it may subscribe again. */
        if (sd_bus_message_is_method_error(reply, NULL) > 0)
                subscriber_free(userdata);
        return 0;
}

/* Not by sd_bus_track, which waits for the bus each time. */
static int watch(struct subscriber *s)
{
        _cleanup_(freep) char *match = NULL;
        sd_bus *bus = s->manager->bus;
        int r;

        if (asprintf(&match,
                     "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                     "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='%s'",
                     s->name) < 0) {
                match = NULL;
                return -ENOMEM;
        }
        r = sd_bus_add_match_async(bus, &s->watch, match, on_gone, NULL, s);
        if (r < 0)
                return r;
        return sd_bus_call_method_async(bus, &s->question, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                        "org.freedesktop.DBus", "GetNameOwner", on_owner, s, "s", s->name);
}

static int add(Manager *m, sd_bus_message *call, enum auth_action granted, sd_bus_error *error)
{
        _cleanup_(subscriber_freep) struct subscriber *s = NULL;
        const char *name = sd_bus_message_get_sender(call);
        int r;

        if (find(m, name))
                return sd_bus_reply_method_return(call, NULL);
        if (m->n_subscribers >= SUBSCRIBERS_MAX)
                return sd_bus_error_set(error, MERGEMEM_ERROR_LIMITS, "Too many subscribe already.");
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->manager = m;
        s->name = strdup(name);
        if (!s->name)
                return -ENOMEM;
        r = watch(s);
        if (r < 0)
                return r;
        m->subscribers[m->n_subscribers++] = TAKE_PTR(s);
        return sd_bus_reply_method_return(call, NULL);
}

int subscriber_add(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return auth_check(userdata, m, AUTH_INSPECT, add, error);
}

int subscriber_remove(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        subscriber_free(find(userdata, sd_bus_message_get_sender(m)));
        return sd_bus_reply_method_return(m, NULL);
}

bool subscriber_is(const Manager *m, const char *name)
{
        return find(m, name) != NULL;
}

const char *subscriber_name(const Manager *m, size_t i)
{
        return m->subscribers[i]->name;
}
