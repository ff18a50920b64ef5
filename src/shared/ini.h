/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* The syntax of our configuration files, systemd.syntax(7) without line continuation: sections in
 * brackets, Key=value, comments that begin with "#" or ";". What is said is up to the caller. */

/* What is dropped at both ends of keys and values. */
#define INI_BLANKS " \t\r"

/* Where we are, for messages. The section is empty before the first header. */
struct ini_place {
        const char *name;
        unsigned line;
        const char *section;
};

struct ini_handler {
        /* Both: 0, or -errno to stop; they log what is wrong. Strings live until they return. */
        int (*section)(const struct ini_place *place, void *userdata);
        int (*assign)(const struct ini_place *place, const char *key, const char *value, void *userdata);
};

/* 0; -EINVAL, logged with file and line, for a line that is none of the above, of 4096 bytes or
 * more, or with a NUL byte in it; or what the handler returned. */
int ini_parse(const char *name, const char *text, size_t size,
              const struct ini_handler *handler, void *userdata);
