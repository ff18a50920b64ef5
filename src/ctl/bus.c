/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/bus.h"

#include "shared/bus.h"
#include "shared/exit.h"
#include "shared/format.h"
#include "shared/log.h"
#include "shared/names.h"

/* A person may have to authenticate first, and a list of a large machine takes its time. */
#define CALL_TIMEOUT_USEC (5U * 60U * UINT64_C(1000000))

int bus_connect(const struct options *o, sd_bus **ret)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        const char *name = o->host ?: o->machine ?: o->bus ?: "system";
        int r;

        if (o->host)
                r = sd_bus_open_system_remote(&bus, o->host);
        else if (o->machine)
                r = sd_bus_open_system_machine(&bus, o->machine);
        else
                r = bus_open(name, &bus);
        if (r < 0) {
                if (o->host || o->machine)
                        log_error_errno(r, "Cannot connect to the system bus of %s: %m", name);
                else
                        log_error_errno(r, "Cannot connect to the bus (%s): %m", name);
                return r == -EACCES || r == -EPERM ? MERGEMEM_EXIT_NOT_PERMITTED : MERGEMEM_EXIT_UNREACHABLE;
        }

        /* Who waits at a terminal can be asked for a password; a script had rather be refused at once. */
        r = sd_bus_set_allow_interactive_authorization(bus, isatty(STDIN_FILENO) > 0);
        if (r < 0)
                return bus_error_report(NULL, r);
        *ret = TAKE_PTR(bus);
        return MERGEMEM_EXIT_DONE;
}

int manager_call_new(sd_bus *bus, const char *method, const struct selector *what, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                           MERGEMEM_MANAGER_INTERFACE, method);
        if (r < 0)
                return bus_error_report(NULL, r);
        if (what) {
                r = selector_append(what, m);
                if (r == -EINVAL)
                        return MERGEMEM_EXIT_USAGE;
                if (r < 0)
                        return bus_error_report(NULL, r);
        }
        *ret = TAKE_PTR(m);
        return MERGEMEM_EXIT_DONE;
}

int bus_call(sd_bus *bus, sd_bus_message *call, sd_bus_message **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call(bus, call, CALL_TIMEOUT_USEC, &error, ret);
        return r < 0 ? bus_error_report(&error, r) : MERGEMEM_EXIT_DONE;
}

int bus_error_status(const char *name, int r)
{
        static const struct {
                const char *name; /* and all that begin with it */
                int status;
        } map[] = {
                { SD_BUS_ERROR_ACCESS_DENIED, MERGEMEM_EXIT_NOT_PERMITTED },
                { SD_BUS_ERROR_AUTH_FAILED, MERGEMEM_EXIT_NOT_PERMITTED },
                { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, MERGEMEM_EXIT_NOT_PERMITTED },
                { SD_BUS_ERROR_SERVICE_UNKNOWN, MERGEMEM_EXIT_UNREACHABLE },
                { SD_BUS_ERROR_NAME_HAS_NO_OWNER, MERGEMEM_EXIT_UNREACHABLE },
                { SD_BUS_ERROR_DISCONNECTED, MERGEMEM_EXIT_UNREACHABLE },
                { SD_BUS_ERROR_NO_REPLY, MERGEMEM_EXIT_UNREACHABLE },
                { SD_BUS_ERROR_NO_SERVER, MERGEMEM_EXIT_UNREACHABLE },
                { SD_BUS_ERROR_TIMEOUT, MERGEMEM_EXIT_UNREACHABLE },
                /* Activation that went wrong. */
                { "org.freedesktop.DBus.Error.Spawn.", MERGEMEM_EXIT_UNREACHABLE },
                { "org.freedesktop.systemd1.", MERGEMEM_EXIT_UNREACHABLE },
        };
        static const int gone[] = {
                ENOTCONN, ECONNRESET, ECONNREFUSED, ECONNABORTED, EPIPE, ENOENT, ETIMEDOUT,
        };

        if (name && strncmp(name, MERGEMEM_ERROR_PREFIX, strlen(MERGEMEM_ERROR_PREFIX)) == 0)
                return exit_status_of_error(name);
        for (size_t i = 0; name && i < ELEMENTSOF(map); i++)
                if (strncmp(name, map[i].name, strlen(map[i].name)) == 0)
                        return map[i].status;
        if (r == -EACCES || r == -EPERM)
                return MERGEMEM_EXIT_NOT_PERMITTED;
        for (size_t i = 0; i < ELEMENTSOF(gone); i++)
                if (r == -gone[i])
                        return MERGEMEM_EXIT_UNREACHABLE;
        return MERGEMEM_EXIT_FAILED;
}

/* Rules of the bus are none of the user's business, and long. */
static bool is_bus_policy(const sd_bus_error *e)
{
        static const char *const prefixes[] = {
                "Rejected send message",                    /* dbus-daemon */
                "Sender is not authorized to send message", /* dbus-broker */
        };

        for (size_t i = 0; e && e->message && i < ELEMENTSOF(prefixes); i++)
                if (strncmp(e->message, prefixes[i], strlen(prefixes[i])) == 0)
                        return true;
        return false;
}

int bus_error_report(const sd_bus_error *e, int r)
{
        const char *name = e ? e->name : NULL;
        int status = bus_error_status(name, r);

        if (status == MERGEMEM_EXIT_UNREACHABLE && name)
                log_error("mergememd cannot be reached: %s", e->message ?: name);
        else if (status == MERGEMEM_EXIT_UNREACHABLE)
                log_error_errno(r, "mergememd cannot be reached: %m");
        else if (status == MERGEMEM_EXIT_NOT_PERMITTED && is_bus_policy(e))
                log_error("Not permitted: this user may not talk to mergememd.");
        else if (e && e->message) {
                _cleanup_(freep) char *text = escape_text(e->message);

                log_error("%s", text ?: e->name);
        } else if (name)
                log_error("%s", name);
        else
                log_error_errno(r, "%m");
        return status;
}

int bus_bad_reply(int r)
{
        log_error_errno(r, "The answer of mergememd cannot be read: %m");
        return MERGEMEM_EXIT_FAILED;
}
