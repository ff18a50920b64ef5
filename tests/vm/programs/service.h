/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* mergememd on a bus of its own, and mergememctl; all from the working directory. */
struct service {
        pid_t bus, daemon;
};

/* Does nothing by itself. */
struct service service_start(void);
/* With the text of a configuration; what it says goes to SERVICE_LOG. */
struct service service_start_with(const char *conf);
/* Another daemon on the same bus. */
void service_start_daemon(struct service *service);
void service_end(struct service *service);

#define SERVICE_CONF "/tmp/mergememd.conf"
#define SERVICE_LOG "/tmp/mergememd.log"

void service_write(const char *path, const char *text);
/* How often it has said so. */
size_t service_said(const char *what);

/* What mergememctl says, to be freed. It has to succeed. */
char *ctl(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));

/* A number of its JSON; fails if it has none of that name. */
long json_number(const char *json, const char *name);
/* A number of mergememctl stats. */
long stats_number(const char *name);
