/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "spawn.h"

/* A message bus of the test's own and the real daemon on it. Needs root; a machine's KSM is one for
 * all, so that only one test program runs at a time, and leaves it as it was. */
struct harness {
        char *dir;     /* removed at the end; everybody may look into it */
        char *address; /* of the bus */
        /* Copies of the target program, its library and mergememctl, where any user reaches them. */
        char *target, *library, *ctl;
        char *config; /* of the daemon */
        char *log;    /* what the daemons said */
        char *ksm;    /* the knobs as they were */
        int lock_fd;
        pid_t bus_pid, daemon_pid;
        sd_bus *bus;
};

void harness_start(struct harness *h);
/* Stops what still runs, looks whether KSM is as it was and returns @status, for main(). */
int harness_end(struct harness *h, int status);

/* Starts mergememd and waits for its name. @mechanism NULL: ksm. @environment NULL: no more than needed. */
void harness_daemon_start(struct harness *h, const char *mechanism, const char *const *environment);
/* One that is not waited for. @extra: more arguments or NULL. */
pid_t harness_daemon_spawn(struct harness *h, const char *mechanism, const char *extra,
                           const char *const *environment);
void harness_daemon_wait_name(struct harness *h);
/* SIGTERM; the wait status. */
int harness_daemon_stop(struct harness *h);
/* Processes of our daemon: itself, its worker, injectors; at most @n. Returns how many. */
size_t harness_daemon_processes(struct harness *h, pid_t *ret, size_t n);

/* harness_start() and harness_end() do this too. */
void harness_bus_start(struct harness *h);
void harness_bus_stop(struct harness *h);

/* How many files it has open. */
unsigned harness_daemon_fds(struct harness *h);

/* A connection of its own to the bus. */
sd_bus *harness_connect(struct harness *h);
/* The same, as a user sees the bus. */
sd_bus *harness_connect_as(struct harness *h, uid_t uid);
/* Knobs of KSM and their values, one a line; g_free(). */
char *harness_ksm_knobs(void);
/* With it the daemon does only what it is asked to. */
void harness_config_write(struct harness *h, const char *text);
/* The same while it runs: puts @text in force and waits until it is. What it has said until then is
 * forgotten. */
void harness_configure(struct harness *h, const char *text);
/* The configuration of one that works on rules. */
void harness_rules_write(struct harness *h, const char *text);
char *harness_log(struct harness *h);
