/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <sys/types.h>

/* Who is at the other end: the effective user id of a connection, as the bus knows it from its socket. The
 * bus is asked before a call is handled, which waits for the answer; nothing else does. */

/* Unique names are never given twice, so what is known of one stays true. */
#define CALLERS_MAX 256U
/* Names that the bus is being asked for, and calls that wait for one of them. */
#define CALLERS_ASKED_MAX 128U
#define CALLER_CALLS_MAX 64U

struct asked;

struct callers {
        sd_bus *served;
        /* Of our own: on the connection that serves the answer would be behind all that others have sent. */
        sd_bus *bus;
        struct {
                char *name;
                uid_t uid;
        } known[CALLERS_MAX];
        size_t next;
        struct asked *asked[CALLERS_ASKED_MAX];
        size_t n_asked;
};

/* For calls that come on @served, which is borrowed. Takes over @bus, which is used for nothing else. */
int callers_init(struct callers *c, sd_bus *served, sd_bus *bus, sd_event *event);
void callers_done(struct callers *c);

/* For a filter of @served: whether the call @m waits until it is known who sent it. Then it comes again, in
 * the order of its sender's. */
bool caller_waits(struct callers *c, sd_bus_message *m);

/* Whose connection sent @m, which a filter has let pass just now. 0; -ENXIO. */
int caller_uid(const struct callers *c, sd_bus_message *m, uid_t *ret);
