/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "harness.h"

/* The real polkitd on the test's bus, with our policy and rules of the test's own in place of the
 * machine's. Users, by what polkit says of them for every action of ours: */
#define UID_OWN UID_FIRST /* "nobody": yes for merge-own, else as the policy says, which is a challenge */
#define UID_NO UID_SECOND /* "daemon": no */
#define UID_DEFAULT 2U    /* "bin": as the policy says */
#define UID_YES 3U        /* "sys": yes */

struct polkit {
        pid_t pid;
};

void polkit_start(struct polkit *p, struct harness *h);
void polkit_stop(struct polkit *p);
/* It stays on the bus and says nothing, then goes on. */
void polkit_freeze(struct polkit *p);
void polkit_thaw(struct polkit *p);
