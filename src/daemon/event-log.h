/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/macro.h"

/* What LogMask= asks for: messages with the figures in them as fields of the journal, MERGEMEM_NAME=. */

struct event_field {
        const char *name; /* capitals; without the prefix */
        const char *text; /* NULL: the number */
        uint64_t number;
};

#define EVENT_FIELDS_MAX 16U

void event_log(const struct event_field *fields, size_t n_fields, const char *format, ...) _printf_(3, 4);
