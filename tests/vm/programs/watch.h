/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* userfaultfd with a thread that answers. */
struct watch {
        int fd;
        char *address;
        size_t n;
        long seed;
        atomic_ulong missing, protected;
        pthread_t thread;
};

/* Pages of [@address, ...) that are missing are made as pages_fill() does it with @seed; protected ones are
 * let go. */
void watch_start(struct watch *watch, char *address, size_t n, long seed);
void watch_protect(struct watch *watch);
void watch_end(struct watch *watch);

/* The features that the kernel has. */
uint64_t watch_features(void);
