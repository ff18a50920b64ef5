/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Writes the file @name in @dir_fd anew with @mode, whatever the umask: who opens it meanwhile gets what
 * was there before or all of @text. It is called FILE_NEW in that directory until it is complete, and one
 * of that name from before is replaced. @durable: it lasts also if the machine stops right after. 0 or
 * -errno. */
#define FILE_NEW ".new"
int file_replace(int dir_fd, const char *name, const char *text, size_t size, mode_t mode, bool durable);
