/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Values of ExecStart=, systemd.service(5), word for word: quotes, escapes, specifiers and variables stay as
 * they are. */

#define EXEC_REASON_MAX 160U

/* The same commands, each of them an argument of @launcher, which is a command as it is written in such a
 * line. The letters before a command ("-", ":", "+", "!") move before the launcher. 0 and a new string;
 * -EOPNOTSUPP for a line that cannot be so, with the reason; -ENOMEM. */
int exec_line_launch(const char *value, const char *launcher, char **ret, char ret_reason[EXEC_REASON_MAX]);
