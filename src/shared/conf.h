/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* mergememd.conf(5). Parsed into a fresh object and taken over whole or not at all. */

enum mechanism {
        MECHANISM_AUTO,
        MECHANISM_DIRECT,
        MECHANISM_KSM,
        MECHANISM_OBSERVE,
        MECHANISM_MAX_,
        MECHANISM_INVALID_ = -1,
};
const char *mechanism_to_string(enum mechanism m);
enum mechanism mechanism_from_string(const char *s);

struct conf {
        enum mechanism mechanism;       /* [Daemon] Mechanism= */
        uint64_t bookkeeping_max_bytes; /* [Daemon] BookkeepingMax=, 1M ... 64G */
        int log_level;                  /* [Daemon] LogLevel= */

        /* [KSM]: what ksmd is set to while there is work. */
        uint64_t ksm_pages_to_scan;   /* PagesToScan=, 1 ... 1000000 */
        uint64_t ksm_sleep_millisecs; /* SleepMilliSec=, 0 ... 60000 */
        int ksm_use_zero_pages;       /* UseZeroPages=, -1: leave as the kernel has it */
};

/* The defaults: Mechanism=auto, BookkeepingMax=64M, LogLevel=info, PagesToScan=2000, SleepMilliSec=0.
 * An empty assignment returns to them. */
void conf_init(struct conf *c);

/* Reads @path over the defaults into *@ret, which stays untouched on failure. Unknown sections and
 * keys: a warning with file and line. Wrong values and lines that cannot be read: an error with
 * file and line, and -EINVAL. A file above 1 MiB is -EFBIG. All that has been logged; only -ENOENT,
 * a missing file, is left to the caller. */
int conf_load(const char *path, struct conf *ret);

/* What conf_load() is made of, for tests: one text, its name for messages. *@c, initialized or from
 * an earlier file, stays untouched on failure. */
int conf_parse(const char *name, const char *text, size_t size, struct conf *c);
