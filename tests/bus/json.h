/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Just enough of RFC 8259 to hold the client's output against. */

/* Whether @text is one JSON value and nothing besides. */
bool json_valid(const char *text);
/* The number behind the first "@key": in valid JSON; the test fails if there is none. */
uint64_t json_number(const char *text, const char *key);
