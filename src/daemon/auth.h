/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/caller.h"

/* Who may do what: root everything, others what polkit permits them. */

typedef struct Manager Manager;

/* As dbus/org.mergemem1.policy describes them: the first is "org.mergemem1.merge-own". */
enum auth_action {
        AUTH_MERGE_OWN,        /* own processes: merge, unmerge, estimate */
        AUTH_MERGE_OWN_DIRECT, /* the same where mergemod is to do it */
        AUTH_MERGE,
        AUTH_UNMERGE,
        AUTH_CONFIGURE,
        AUTH_RELOAD,
        AUTH_INSPECT, /* see others' processes */
        AUTH_ACTION_MAX_,
};

/* Questions to polkit that are open, of all users and of one. */
#define AUTH_CHECKS_MAX 64U
#define AUTH_CHECKS_PER_USER_MAX 8U

struct auth_check;

struct auth {
        struct callers callers;
        struct auth_check *checks[AUTH_CHECKS_MAX];
        size_t n_checks;
        const struct auth_check *judged; /* whose call is handled right now */
        uint64_t last_check_id;
};

void auth_done(struct auth *a);

/* Handles a method call as sd_bus_message_handler_t does, whose sender is permitted @granted. */
typedef int (*auth_then_t)(Manager *m, sd_bus_message *call, enum auth_action granted, sd_bus_error *error);

/* Has @then handle @call if its sender is permitted @action: at once for root, else when polkit has
 * agreed, until when the caller waits. To be returned by a method's handler that has found the arguments
 * to be valid; @then reads them again from the beginning, and has to look up again whatever they are
 * about. */
int auth_check(Manager *m, sd_bus_message *call, enum auth_action action, auth_then_t then,
               sd_bus_error *error);

/* The user who sent @call, which is handled right now. Fails with @error set. */
int auth_caller(Manager *m, sd_bus_message *call, uid_t *ret, sd_bus_error *error);
