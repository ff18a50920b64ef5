/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/quota.h"
#include "shared/layout-group.h"

/* Layout groups: processes that mergemem-run(1) starts with one common address layout, made from a secret
 * that nobody else knows. A group is a systemd unit, or a name that somebody chose, of one user; what is of
 * two users is two groups. Its secret is drawn when it is first asked for, and stays until the next boot, in
 * a file of root's alone that outlives the service. */

/* Of all users, and of one who is not root: a unit for each of so many instances, and names besides. Those
 * whose processes have all ended make room for others. */
#define LAYOUTS_MAX 2048U
#define LAYOUTS_OF_ROOT 256U /* that others do not get */
#define LAYOUTS_PER_USER_MAX 256U
/* Processes that are remembered, each of which takes a file descriptor. */
#define LAYOUT_PROCESSES_MAX 4096U
#define LAYOUT_PROCESSES_PER_USER_MAX 1024U

struct layout {
        uint64_t number; /* its file is called so */
        bool unit;       /* a systemd unit's; else one by name */
        uid_t uid;
        char name[LAYOUT_NAME_MAX + 1];
        uint8_t secret[LAYOUT_SECRET_BYTES];
        /* Microseconds since 1970: when it was drawn, and last handed out. */
        uint64_t drawn_usec, last_usec;
        uint64_t n_given;  /* how often it was handed out since */
        bool forgetful;    /* there was no room for all who were given it */
        size_t n_processes; /* that are remembered; those that have ended count until the next sweep */
};

/* Who was given a secret: what runs as that process now has its layout, as far as the launcher got. */
struct layout_process {
        pid_t pid;
        uint64_t start_ticks;
        int pid_fd; /* owned */
        struct layout *layout;
};

struct layouts {
        int dir_fd; /* of the files; negative: there are none; owned */
        struct layout **items; /* by number: the oldest first */
        size_t n;
        struct layout_process *processes; /* by pid */
        size_t n_processes;
        uint64_t last_number;
        struct quotas quotas; /* of calls: see layout-bus.c */
};

void layouts_done(struct layouts *l);

struct layout *layouts_find(const struct layouts *l, bool unit, uid_t uid, const char *name);

/* The same, drawn and written down if there is none yet. 0; -ENOBUFS if as many are in use as there may be
 * of this user, or at all; -EIO, -ENOMEM, -errno: of the file. */
int layouts_get(struct layouts *l, bool unit, uid_t uid, const char *name, uint64_t now_usec,
                struct layout **ret);

/* Notes that @g was given to a process, and remembers that while it lives and if there is room. Takes
 * @pid_fd over. 0; -errno if it could not be written down, which is no reason not to give it. */
int layouts_give(struct layouts *l, struct layout *g, pid_t pid, uint64_t start_ticks, int pid_fd,
                 uint64_t now_usec);

/* Draws another secret, for processes that ask from now on; those that have the one before are forgotten. 0;
 * -errno, and all is as it was. */
int layouts_rotate(struct layouts *l, struct layout *g, uint64_t now_usec);

/* Forgets processes that have ended. */
void layouts_sweep(struct layouts *l);

/* The number of the group that a process is of: it was given the secret, or its parent was, and lives; 0:
 * none. */
uint64_t layouts_group_of(const struct layouts *l, pid_t pid, uint64_t start_ticks, pid_t parent);

/* layout-file.c */

/* Writes down what is known of @g. 0 or -errno. */
int layout_save(const struct layouts *l, const struct layout *g);
void layout_remove(const struct layouts *l, const struct layout *g);

/* Reads what a service before this one has written below @state_fd since the machine was started, in a
 * directory LAYOUT_DIRECTORY that is made if need be. What is damaged is set aside and logged: that group
 * is drawn anew. 0 or -errno. */
#define LAYOUT_DIRECTORY "layouts"
int layouts_load(struct layouts *l, int state_fd, int proc_fd);

/* For layouts_load(): adds what is in *@g, without processes, and then one of those. -EEXIST if there is
 * such a group; -ENOBUFS if there is no room for the process; -ENOMEM. Takes @pid_fd over. */
int layouts_add(struct layouts *l, const struct layout *g, struct layout **ret);
int layouts_add_process(struct layouts *l, struct layout *g, pid_t pid, uint64_t start_ticks, int pid_fd);
