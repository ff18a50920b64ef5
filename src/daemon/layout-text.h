/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-id128.h>

#include "daemon/layout.h"

/* What a layout group's file says. */

/* With all the processes that one user, or root, can have in it. */
#define LAYOUT_TEXT_MAX (256U * 1024U)

/* Text of @g, of this @boot, with those of @processes that are of it, if it has any. 0 and a new string,
 * which holds the secret; -ENOMEM. */
int layout_format(const struct layout *g, const sd_id128_t *boot, const struct layout_process *processes,
                  size_t n, char **ret, size_t *ret_size);

/* All but its number, and who was given it, as it was then: a new array, without descriptors. 0; -EBADMSG
 * for what layout_format() does not write; -ESTALE if it is of another boot; -ENOMEM. */
int layout_parse(const char *text, size_t size, const sd_id128_t *boot, struct layout *ret,
                 struct layout_process **ret_processes, size_t *ret_n);
