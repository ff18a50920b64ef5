/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <syslog.h>

#include "shared/macro.h"

/* Messages of the programs, to standard error. Under systemd, which says so in $JOURNAL_STREAM,
 * each line carries its "<N>" level (sd-daemon(3)). Libraries below do not log above LOG_DEBUG. */

/* LOG_EMERG ... LOG_DEBUG; LOG_INFO at first. Nothing is logged below LOG_ERR, so that less is silence. */
void log_set_level(int level);
int log_get_level(void);
/* "emerg" ... "debug" or 0 ... 7. A level or -EINVAL. */
int log_level_from_string(const char *s);
const char *log_level_to_string(int level);

/* @error: 0 or a negative errno, for %m in @format. Returns @error, so that "return log_error_errno(r, ...)"
 * works. */
int log_full(int level, int error, const char *format, ...) _printf_(3, 4);

/* Whether standard error is the journal's. */
bool log_is_journal(void);

/* The last message of LOG_ERR or worse, whether it was written or not; "" if there was none. */
const char *log_last_error(void);

#define log_debug(...) ((void) log_full(LOG_DEBUG, 0, __VA_ARGS__))
#define log_info(...) ((void) log_full(LOG_INFO, 0, __VA_ARGS__))
#define log_notice(...) ((void) log_full(LOG_NOTICE, 0, __VA_ARGS__))
#define log_warning(...) ((void) log_full(LOG_WARNING, 0, __VA_ARGS__))
#define log_error(...) ((void) log_full(LOG_ERR, 0, __VA_ARGS__))
#define log_debug_errno(error, ...) log_full(LOG_DEBUG, (error), __VA_ARGS__)
#define log_warning_errno(error, ...) log_full(LOG_WARNING, (error), __VA_ARGS__)
#define log_error_errno(error, ...) log_full(LOG_ERR, (error), __VA_ARGS__)
#define log_oom() log_full(LOG_ERR, -ENOMEM, "Out of memory.")
