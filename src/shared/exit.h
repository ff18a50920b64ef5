/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How the clients end: MERGEMEM_EXIT_* of shared/names.h. */

/* The status for an error of the service's, by its name. */
int exit_status_of_error(const char *error_name);

/* Writes out what is left of standard output. @status, or that of a failure, which is logged: a full disk or
 * a closed pipe must not pass for success. */
int exit_flush_stdout(int status);
