/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Drop-ins that the service writes itself. */

/* Makes the file at @path have @text, at once or not at all; its directory is made if need be. */
int rule_file_write(const char *path, const char *text);

/* -ENOENT if it is not there. */
int rule_file_remove(const char *path);
