/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* A file system with one file, "page", whose reads are never answered, spoken straight over /dev/fuse. The
 * very first read of each page fails instead: a page fault lets go of mmap_lock while it waits for its first
 * try, and keeps it for the second. Of one name it is never said what it is, another one not even root may
 * have looked up. */
#define HANGFS_GONE "gone"
#define HANGFS_DENIED "denied"
struct hangfs {
        pid_t pid;
        char *file;
        int hung_fd; /* readable once a read hangs */
};

/* Mounts it at @dir, which is in the test's own mount namespace. */
void hangfs_start(struct hangfs *fs, const char *dir);
/* Ends the server, which fails all that still waits. */
void hangfs_stop(struct hangfs *fs, const char *dir);
