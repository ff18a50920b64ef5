/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>
#include <sys/types.h>

/* Who is at the other end: the effective user id of a connection, as the bus knows it from its socket. */

/* Unique names are never given twice, so what is known of one stays true. */
#define CALLERS_MAX 256U

struct callers {
        /* Of our own. Waiting for an answer on the connection that serves would read all that
         * others have sent by then into memory, however much that is. */
        sd_bus *bus;
        struct {
                char *name;
                uid_t uid;
        } known[CALLERS_MAX];
        size_t next;
};

/* Takes over @bus, which is used for nothing else. */
int callers_init(struct callers *c, sd_bus *bus, sd_event *event);
void callers_done(struct callers *c);

/* Whose connection sent @m. 0; -ENXIO if it is gone; -errno. */
int caller_uid(struct callers *c, sd_bus_message *m, uid_t *ret);
