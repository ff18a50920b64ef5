/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* The runtime directory: what was done to KSM and which memory is ours outlives a crash there. One program
 * at a time has it, whose lock says who that is. */

#define RUNTIME_DIRECTORY "/run/mergemem"

/* Whoever has the directory. */
struct runtime_holder {
        char name[32]; /* of the program; "" if it does not say */
        pid_t pid;     /* as it sees itself; 0 if it does not say */
};

/* Makes, opens and locks the directory @path for the program @name. 0; -EWOULDBLOCK if another program has
 * it: *@ret_holder, which is set in that case only, and nothing is logged; any other error is. */
int runtime_open(const char *path, const char *name, int *ret_state_fd, int *ret_lock_fd,
                 struct runtime_holder *ret_holder);

/* Who had the directory last, without making or taking anything: to be held against who runs. 1 and *@ret, 0
 * if nobody says so, -errno. */
int runtime_last_holder(const char *path, struct runtime_holder *ret);
