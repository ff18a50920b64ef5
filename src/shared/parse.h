/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Values as users write them. All: 0 and *@ret, -EINVAL for what is no such value, -ERANGE for one
 * that does not fit; *@ret is untouched on failure. Leading and trailing blanks are not accepted. */

/* 1, yes, y, true, t, on and their opposites, in any case: systemd.syntax(7). */
int parse_boolean(const char *s, bool *ret);
/* Decimal, no sign. */
int parse_uint64(const char *s, uint64_t *ret);
/* Process id, from 1. */
int parse_pid(const char *s, pid_t *ret);
/* Bytes: "4096", "64M", "64MB", "64 MiB"; suffix K, M, G, T to the base 1024, optionally followed by
 * "B" or "iB". */
int parse_bytes(const char *s, uint64_t *ret);
/* Microseconds from "10", "1min 30s", "500ms", "1.5h", "1d", "1w": systemd.time(7) up to weeks; a bare
 * number is seconds. What is below a microsecond is dropped. */
int parse_sec(const char *s, uint64_t *ret_usec);
/* Whole percents of one core, "1%" to "6400%": more than 100 are several cores. */
int parse_percent(const char *s, unsigned *ret);
