/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/caller.h"
#include "shared/macro.h"

/* The bus answers at once or is in trouble. */
#define ASK_TIMEOUT_USEC (5U * 1000U * 1000U)

int callers_init(struct callers *c, sd_bus *bus, sd_event *event)
{
        c->bus = bus;
        /* Nobody has business here; what comes nevertheless is read and dropped. */
        return sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
}

void callers_done(struct callers *c)
{
        for (size_t i = 0; i < ELEMENTSOF(c->known); i++)
                free(c->known[i].name);
        sd_bus_flush_close_unref(c->bus);
        *c = (struct callers) {};
}

static int ask(struct callers *c, const char *name, uid_t *ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        uint32_t uid;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &call, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                           "org.freedesktop.DBus", "GetConnectionUnixUser");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", name);
        if (r >= 0)
                r = sd_bus_call(c->bus, call, ASK_TIMEOUT_USEC, NULL, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "u", &uid);
        if (r < 0)
                return r;
        *ret = uid;
        return 0;
}

int caller_uid(struct callers *c, sd_bus_message *m, uid_t *ret)
{
        const char *name = sd_bus_message_get_sender(m);
        char *copy;
        uid_t uid;
        int r;

        if (!name)
                return -ENXIO;
        for (size_t i = 0; i < ELEMENTSOF(c->known); i++)
                if (c->known[i].name && streq(c->known[i].name, name)) {
                        *ret = c->known[i].uid;
                        return 0;
                }
        r = ask(c, name, &uid);
        if (r < 0)
                return r;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        free(c->known[c->next].name);
        c->known[c->next].name = copy;
        c->known[c->next].uid = uid;
        c->next = (c->next + 1) % ELEMENTSOF(c->known);
        *ret = uid;
        return 0;
}
