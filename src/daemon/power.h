/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Whether the machine is to save power: its battery discharges and no other supply is online, or its user
 * has chosen the low-power profile. @sys_fd: a directory like /sys. What is not there says nothing. */
bool power_is_saved(int sys_fd);
