/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

/* Messages belong to a connection; this one leads nowhere. */

struct fake_bus {
        sd_bus *bus;
        int peer;
};

static inline void fake_bus_open(struct fake_bus *f)
{
        int fds[2];

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
        g_assert_cmpint(sd_bus_new(&f->bus), >=, 0);
        g_assert_cmpint(sd_bus_set_fd(f->bus, fds[0], fds[0]), >=, 0);
        g_assert_cmpint(sd_bus_start(f->bus), >=, 0);
        f->peer = fds[1];
}

static inline void fake_bus_close(struct fake_bus *f)
{
        sd_bus_close_unref(f->bus);
        close(f->peer);
}

static inline sd_bus_message *fake_bus_message(struct fake_bus *f)
{
        sd_bus_message *m;

        g_assert_cmpint(sd_bus_message_new_method_call(f->bus, &m, "a.b", "/", "a.b", "C"), >=, 0);
        return m;
}

/* Ready for being read. */
static inline void fake_bus_seal(sd_bus_message *m)
{
        g_assert_cmpint(sd_bus_message_seal(m, 1, 0), >=, 0);
        g_assert_cmpint(sd_bus_message_rewind(m, 1), >=, 0);
}
