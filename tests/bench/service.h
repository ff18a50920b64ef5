/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>
#include <systemd/sd-bus.h>

/* The real service, on a bus of its own. */

struct service {
        char directory[32];
        char address[64];
        pid_t bus_pid, daemon_pid;
        sd_bus *bus;
        /* The job that ended last. */
        char removed[64], how[16];
        double removed_sec;
};

/* @config: text of its configuration. 0 or -errno; service_stop() in both cases. */
int service_start(struct service *s, const char *mechanism, const char *config);
void service_stop(struct service *s);
/* Its child, which does the work. 0, -ENODATA between two of them, -errno. */
int service_worker(const struct service *s, pid_t *ret);
