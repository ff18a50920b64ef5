/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client.h"
#include "daemon/layout.h"
#include "harness.h"
#include "polkit.h"

/* Processes of several users in several cgroups, which ask the service for secrets of layout groups. */
struct layout_harness {
        struct harness h;
        struct polkit polkit;
        char *cgroups;                     /* a mount of the cgroup v2 tree */
        char *unit, *other_unit, *no_unit; /* cgroups in it: of two services, and of none */
};

/* A bus with polkit, the cgroups, and a service that merges nothing. */
void layout_harness_start(struct layout_harness *l);
/* As harness_end(). */
int layout_harness_end(struct layout_harness *l, int status);

/* The calling process moves to the cgroup, and becomes the user. */
void layout_join(const struct layout_harness *l, const char *cgroup);
void layout_become(uid_t uid);

/* What the service has answered somebody. */
struct answer {
        char error[128], message[512];
        char name[LAYOUT_NAME_MAX + 1];
        uint8_t secret[LAYOUT_SECRET_BYTES];
};

void layout_ask(sd_bus *bus, const char *group, struct answer *a);

/* A process in a cgroup, which asks for a layout and stays. */
struct caller {
        pid_t pid;
        struct answer answer;
};

void layout_caller_start(struct layout_harness *l, struct caller *c, uid_t uid, const char *cgroup,
                         const char *group);
void layout_caller_end(struct caller *c);
/* What one gets who ends right after. */
struct answer layout_asked(struct layout_harness *l, uid_t uid, const char *cgroup, const char *group);

/* A secret, for the group of that name. */
void layout_expect(const struct answer *a, const char *name);
bool layout_same(const struct answer *a, const struct answer *b);
