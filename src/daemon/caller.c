/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/caller.h"
#include "shared/log.h"
#include "shared/macro.h"
#include "shared/names.h"

/* The bus answers at once or is in trouble. */
#define ASK_TIMEOUT_USEC (5U * 1000U * 1000U)

/* A connection of which it is not known whose it is, and its calls, the oldest first. */
struct asked {
        struct callers *callers;
        char *name;
        sd_bus_slot *question;
        bool answered; /* the calls come again */
        uid_t uid;
        sd_bus_message *calls[CALLER_CALLS_MAX];
        size_t n_calls;
};

int callers_init(struct callers *c, sd_bus *served, sd_bus *bus, sd_event *event)
{
        c->served = served;
        c->bus = bus;
        /* Nobody has business here; what comes nevertheless is read and dropped. */
        return sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
}

static struct asked *asked_free(struct asked *a)
{
        struct callers *c;

        if (!a)
                return NULL;
        c = a->callers;
        for (size_t i = 0; i < c->n_asked; i++)
                if (c->asked[i] == a)
                        c->asked[i] = c->asked[--c->n_asked];
        sd_bus_slot_unref(a->question);
        for (size_t i = 0; i < a->n_calls; i++)
                sd_bus_message_unref(a->calls[i]);
        free(a->name);
        free(a);
        return NULL;
}
DEFINE_CLEANUP_FUNC(struct asked *, asked_free)

void callers_done(struct callers *c)
{
        while (c->n_asked > 0)
                asked_free(c->asked[0]);
        for (size_t i = 0; i < ELEMENTSOF(c->known); i++)
                free(c->known[i].name);
        sd_bus_flush_close_unref(c->bus);
        *c = (struct callers) {};
}

static void refuse(sd_bus_message *call)
{
        (void) sd_bus_reply_method_errorf(call, SD_BUS_ERROR_ACCESS_DENIED,
                                          "The bus does not say which user this is.");
}

static void refuse_many(sd_bus_message *call)
{
        (void) sd_bus_reply_method_errorf(call, MERGEMEM_ERROR_LIMITS,
                                          "Too many calls wait for the bus to say who sent them.");
}

/* The call is handled when the bus has said who sent it. */
static bool keep(struct asked *a, sd_bus_message *call)
{
        if (a->n_calls >= CALLER_CALLS_MAX) {
                refuse_many(call);
                return false;
        }
        a->calls[a->n_calls++] = sd_bus_message_ref(call);
        return true;
}

static void drop(struct asked *a, size_t i)
{
        sd_bus_message_unref(a->calls[i]);
        memmove(a->calls + i, a->calls + i + 1, (--a->n_calls - i) * sizeof(sd_bus_message *));
}

static int remember(struct callers *c, const char *name, uid_t uid)
{
        char *copy = strdup(name);

        if (!copy)
                return -ENOMEM;
        free(c->known[c->next].name);
        c->known[c->next].name = copy;
        c->known[c->next].uid = uid;
        c->next = (c->next + 1) % ELEMENTSOF(c->known);
        return 0;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        struct asked *a = userdata;
        uint32_t uid;
        int r;

        r = -sd_bus_message_get_errno(reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "u", &uid);
        if (r >= 0)
                r = remember(a->callers, a->name, uid);
        a->answered = true;
        a->uid = r < 0 ? (uid_t) -1 : uid;
        for (size_t i = 0; i < a->n_calls;) {
                int k = r < 0 ? r : sd_bus_enqueue_for_read(a->callers->served, a->calls[i]);

                if (k >= 0) {
                        i++;
                        continue;
                }
                refuse(a->calls[i]);
                drop(a, i);
        }
        if (a->n_calls == 0)
                asked_free(a);
        return 0;
}

static int ask(struct callers *c, const char *name, struct asked **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(asked_freep) struct asked *a = NULL;
        int r;

        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        a->callers = c;
        a->name = strdup(name);
        if (!a->name)
                return -ENOMEM;
        r = sd_bus_message_new_method_call(c->bus, &m, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                           "org.freedesktop.DBus", "GetConnectionUnixUser");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        if (r >= 0)
                r = sd_bus_call_async(c->bus, &a->question, m, on_answer, a, ASK_TIMEOUT_USEC);
        if (r < 0)
                return r;
        *ret = c->asked[c->n_asked++] = TAKE_PTR(a);
        return 0;
}

static struct asked *find_asked(const struct callers *c, const char *name)
{
        for (size_t i = 0; i < c->n_asked; i++)
                if (streq(c->asked[i]->name, name))
                        return c->asked[i];
        return NULL;
}

static bool is_known(const struct callers *c, const char *name, uid_t *ret)
{
        for (size_t i = 0; i < ELEMENTSOF(c->known); i++)
                if (c->known[i].name && streq(c->known[i].name, name)) {
                        *ret = c->known[i].uid;
                        return true;
                }
        return false;
}

/* One of its calls, now that it is known whose they are. */
static bool waits_again(struct asked *a, sd_bus_message *call)
{
        struct callers *c = a->callers;
        uid_t uid;

        if (a->calls[0] != call) {
                /* It has overtaken those that were put behind it. */
                if (keep(a, call) && sd_bus_enqueue_for_read(c->served, call) < 0) {
                        drop(a, a->n_calls - 1U);
                        refuse(call);
                }
                return true;
        }
        if (!is_known(c, a->name, &uid))
                (void) remember(c, a->name, a->uid);
        drop(a, 0);
        if (a->n_calls == 0)
                asked_free(a);
        return false;
}

bool caller_waits(struct callers *c, sd_bus_message *m)
{
        const char *name = sd_bus_message_get_sender(m);
        struct asked *a;
        uid_t uid;

        if (!name)
                return false;
        a = find_asked(c, name);
        if (a && a->answered)
                return waits_again(a, m);
        if (!a && is_known(c, name, &uid))
                return false;
        if (!a && c->n_asked >= CALLERS_ASKED_MAX)
                refuse_many(m);
        else if (!a && ask(c, name, &a) < 0)
                refuse(m);
        else
                (void) keep(a, m);
        return true;
}

int caller_uid(const struct callers *c, sd_bus_message *m, uid_t *ret)
{
        const char *name = sd_bus_message_get_sender(m);

        return name && is_known(c, name, ret) ? 0 : -ENXIO;
}
