/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-bus.h>

#include "run/secret.h"
#include "shared/clock.h"
#include "shared/names.h"

/* Nobody waits longer for the start of a unit on account of this. */
#define TIMEOUT_USEC UINT64_C(2000000)

static int note_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        sd_bus_message **reply = userdata;

        *reply = sd_bus_message_ref(m);
        return 0;
}

/* Not sd_bus_call(), which waits for a bus that lets nobody in for as long as that takes. */
static int ask(sd_bus *bus, const char *group, sd_bus_message **ret)
{
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        uint64_t end = clock_usec(CLOCK_MONOTONIC) + TIMEOUT_USEC;
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_call_method_async(bus, &slot, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                     MERGEMEM_MANAGER_INTERFACE, "LayoutSecret", note_reply, &reply, "s",
                                     group);
        while (r >= 0 && !reply) {
                uint64_t now = clock_usec(CLOCK_MONOTONIC);

                if (now >= end)
                        return -ETIMEDOUT;
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, end - now);
        }
        if (!reply)
                return r;
        *ret = reply;
        return 0;
}

/* Whether an error says that there is no service to ask, rather than what the service thinks of it. */
static bool is_absence(const char *name)
{
        static const char *const prefixes[] = {
                SD_BUS_ERROR_SERVICE_UNKNOWN,
                SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                SD_BUS_ERROR_NO_REPLY,
                SD_BUS_ERROR_TIMEOUT,
                SD_BUS_ERROR_DISCONNECTED,
                /* An older one. */
                SD_BUS_ERROR_UNKNOWN_METHOD,
                /* It could not be started. */
                "org.freedesktop.DBus.Error.Spawn.",
                "org.freedesktop.systemd1.",
        };

        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
                        return true;
        return false;
}

static int read_error(const sd_bus_error *e, struct refusal *f)
{
        if (is_absence(e->name))
                return refuse(f, -ENOTCONN, "mergememd cannot be reached (%s)", e->message ?: e->name);
        if (streq(e->name, MERGEMEM_ERROR_NO_SUCH_UNIT))
                return refuse(f, -ENXIO, "mergememd: %s", e->message ?: e->name);
        return refuse(f, -EACCES, "mergememd gives no secret: %s", e->message ?: e->name);
}

static int read_reply(sd_bus_message *reply, struct secret *ret, struct refusal *f)
{
        const char *name;
        const void *bytes;
        size_t size;
        int r;

        r = sd_bus_message_read(reply, "s", &name);
        if (r >= 0)
                r = sd_bus_message_read_array(reply, 'y', &bytes, &size);
        if (r < 0 || size != sizeof(ret->bytes) || !layout_name_is_valid(name))
                return refuse(f, -EBADMSG, "the answer of mergememd cannot be read");
        memcpy(ret->bytes, bytes, size);
        strcpy(ret->group, name);
        strcpy(ret->where, "mergememd");
        return 0;
}

int secret_from_service(const char *group, struct secret *ret, struct refusal *f)
{
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = ask(bus, group, &reply);
        if (r < 0)
                return refuse(f, -ENOTCONN, "mergememd cannot be reached (%s)", strerror(-r));
        if (sd_bus_message_is_method_error(reply, NULL))
                return read_error(sd_bus_message_get_error(reply), f);
        return read_reply(reply, ret, f);
}
