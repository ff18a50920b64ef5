/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* A process whose pages are to be merged: it runs functions of the test when told to. */
struct peer {
        pid_t pid;
        int to, from;
};

/* Ends with the test. */
struct peer peer_start(void);
struct peer peer_start_as(uid_t uid);

typedef long (*peer_function)(long argument);
long peer_call(const struct peer *peer, peer_function function, long argument);

/* Lets it leave, and waits for that. */
void peer_end(struct peer *peer);
